from __future__ import annotations

import pytest

from core.worker.gates.project import dependencies_of, top_modules


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        (
            "pyproject.toml",
            "[project]\ndependencies=['Requests>=2', 'ruamel.yaml[x]~=1']",
            {"requests", "ruamel-yaml"},
        ),
        ("pyproject.toml", "[project.optional-dependencies]\ntest=['pytest_mock']", {"pytest-mock"}),
        ("pyproject.toml", "[dependency-groups]\ndev=['a', {include-group='b'}]", {"a"}),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython='3'\nflask='*'", {"flask"}),
        ("pyproject.toml", "[tool.poetry.group.dev.dependencies]\nx='1'", {"x"}),
        ("Pipfile", "[packages]\na='*'\n[dev-packages]\nb='*'", {"a", "b"}),
        (
            "setup.cfg",
            "[options]\ninstall_requires =\n  a>1\n  b\n[options.extras_require]\nx = c",
            {"a", "b", "c"},
        ),
        ("tox.ini", "[testenv]\ndeps = a\n  b==1", {"a", "b"}),
        (
            "setup.py",
            "setup(install_requires=['a>=1'], extras_require={'x': ['b']}, python_requires='>=3')",
            {"a", "b"},
        ),
        ("requirements/dev.txt", "# no\n-r other.txt\na==1  # x\n\nB_c", {"a", "b-c"}),
        ("pyproject.toml", "[broken", set()),
        ("setup.py", "setup(", set()),
        ("setup.cfg", "no section", set()),
        ("pyproject.toml", "project = 3", set()),
    ],
)
def test_declared_dependencies(name, content, found):
    assert dependencies_of({name: content.encode()}) >= found
    assert not dependencies_of({name: content.encode()}) - found - {"x"}


def test_top_level_modules():
    paths = ["shop/a.py", "src/pkg/b.py", "tool.py", "setup.py", "docs/x.md", "lib/native.cpython-311-x86.so"]
    assert top_modules(paths, ("", "src", "lib")) == {"shop", "src", "pkg", "tool", "lib", "native"}
