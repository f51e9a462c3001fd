"""Two releases of a project small enough to be read here."""

from __future__ import annotations

from pathlib import Path

import pytest

OLD = {
    "pyproject.toml": '[project]\nname = "tiny"\nversion = "1.0"\n',
    "PKG-INFO": "Version: 1.0\n",
    "src/tiny/__init__.py": "def double(n):\n    return n * 2\n",
    "src/tiny/old.py": "OLD = True\n",
    "src/tiny/logo.bin": "\x00\x01",
    "src/tiny.egg-info/SOURCES.txt": "x\n",
    "tests/test_double.py": "from tiny import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
    "tests/test_gone.py": "def test_gone():\n    pass\n",
    "run.sh": "echo hello\n",
    ".gitignore": "made.txt\n",
    ".github/workflows/ci.yml": "on: push\n",
}
NEW = {
    **OLD,
    "pyproject.toml": OLD["pyproject.toml"].replace("1.0", "1.1")
    + '[tool.pytest.ini_options]\naddopts = "-ra"\n',
    "PKG-INFO": "Version: 1.1\n",
    "src/tiny/__init__.py": OLD["src/tiny/__init__.py"] + "\n\ndef triple(n):\n    return n * 3\n",
    "src/tiny/logo.bin": "\x00\xff",
    "src/tiny/made.txt": "made\n",
    "tests/test_triple.py": "from tiny import triple\n\n\ndef test_triple():\n    assert triple(2) == 6\n",
    "tests/test_double.py": OLD["tests/test_double.py"] + "\n\ndef test_zero():\n    assert double(0) == 0\n",
    ".github/workflows/ci.yml": "on: pull_request\n",
}
del NEW["tests/test_gone.py"], NEW["src/tiny/old.py"]


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Path, Path]:
    folders = (tmp_path / "tiny-1.0", tmp_path / "tiny-1.1")
    for folder, files in zip(folders, (OLD, NEW), strict=True):
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("latin-1"))
    (folders[1] / "run.sh").chmod(0o755)
    return folders
