"""What no source of the product does, and no file of the repository holds."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.agents.redaction import Redactor

ROOT = Path(__file__).parents[2]
OURS = ("bot", "cogs", "config", "core")

_CALLS = frozenset(
    {
        "eval", "exec", "__import__", "os.system", "os.popen", "os.spawnl", "asyncio.create_subprocess_shell",
        "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp", "yaml.load", "yaml.load_all",
        "yaml.unsafe_load", "yaml.full_load", "ssl._create_unverified_context", "numpy.load", "np.load",
    }
)  # fmt: skip
_MODULES = frozenset(
    {
        "pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "telnetlib", "ftplib",
        "xml.sax", "xml.dom", "xml.dom.minidom", "xml.dom.pulldom", "xmlrpc", "xmlrpc.client", "lxml",
    }
)  # fmt: skip
_XML_READERS = frozenset({"fromstring", "parse", "iterparse", "XML", "XMLParser", "fromstringlist"})
_OFF = frozenset({"verify", "check_hostname", "verify_ssl", "ssl"})  # `= False` switches a check off
# Names a keyword of its own type.
_MAY_SAY_SHELL = frozenset({"core/worker/runners/invocation.py"})


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def dangers(source: str, *, shell: bool = False) -> Iterator[str]:
    """What of it is dangerous, with its line. `shell`: a keyword of that name is no process's."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Call):
            name = _dotted(node.func)
            if name in _CALLS:
                loader = [each for each in node.keywords if each.arg == "Loader"]
                if not (name == "yaml.load" and loader and "Safe" in ast.unparse(loader[0].value)):
                    yield f"{line}: calls {name}"
            for each in node.keywords:
                if each.arg == "shell" and not _is(each.value, False) and not shell:
                    yield f"{line}: asks for a shell"
                if each.arg in _OFF and _is(each.value, False):
                    yield f"{line}: switches {each.arg} off"
            if name.endswith(".extractall") and not any(each.arg == "filter" for each in node.keywords):
                yield f"{line}: unpacks without a filter"
        elif isinstance(node, ast.Import):
            yield from (f"{line}: imports {each.name}" for each in node.names if each.name in _MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in _MODULES:
                yield f"{line}: imports {node.module}"
            if node.module == "xml.etree.ElementTree":
                names = {each.name for each in node.names} & _XML_READERS
                yield from (f"{line}: reads XML by {name}, not by defusedxml" for name in sorted(names))
        elif isinstance(node, ast.Attribute) and node.attr == "CERT_NONE":
            yield f"{line}: asks for no certificate"


_WORDS = re.compile(
    r"\b(?:eval|exec)\(|__import__|os\.system|popen|spawn|\bshell\s*=|getoutput|getstatus|mktemp|\b_?load(?:_all)?\(|_load\(|"
    r"unverified|(?:verify|hostname|ssl)\s*=\s*False|CERT_NONE|extractall|xml|create_subprocess_shell|"
    + "|".join(sorted(_MODULES)).replace(".", r"\.")
)


def _sources() -> list[Path]:
    return sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))


def test_the_product_does_nothing_of_the_kind() -> None:
    found = []
    for path in _sources():
        name = path.relative_to(ROOT).as_posix()
        source = path.read_text()
        if _WORDS.search(source):
            found += [f"{name}:{each}" for each in dangers(source, shell=name in _MAY_SAY_SHELL)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(x)",
        "exec(x)",
        "import pickle",
        "from pickle import loads",
        "subprocess.run(x, shell=True)",
        "subprocess.run(x, shell=given)",
        "asyncio.create_subprocess_shell(x)",
        "os.system(x)",
        "yaml.load(x)",
        "yaml.load(x, Loader=yaml.FullLoader)",
        "yaml.unsafe_load(x)",
        "from xml.etree.ElementTree import fromstring",
        "import xml.dom.minidom",
        "tar.extractall(x)",
        "context.verify_mode = ssl.CERT_NONE",
        "session.get(x, ssl=False)",
        "tempfile.mktemp()",
    ],
)
def test_each_of_it_would_be_found(source: str) -> None:
    assert _WORDS.search(source)
    assert len(list(dangers(source))) == 1


def test_what_is_harmless_is_not() -> None:
    source = "yaml.load(x, Loader=yaml.CSafeLoader)\nmodel.eval\nliteral_eval(x)\nrun(x, shell=False)"
    assert list(dangers(source)) == []


# Hold examples of secrets, which are their subject.
_EXAMPLES = ("tests/unit/", "tests/integration/", "tests/properties/", "tests/security/", "tests/web/")


def _kept() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def secrets_in(text: str, redactor: Redactor) -> bool:
    return redactor.may_hold(text) and redactor.text(text) != text


def test_no_file_of_the_repository_holds_what_looks_like_a_secret() -> None:
    redactor, found = Redactor(), []
    for path in _kept():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(_EXAMPLES) and secrets_in(
            path.read_bytes().decode(errors="replace"), redactor
        ):
            found.append(name)
    assert found == []


# By their names; an empty one, or an example, is meant to be there.
_PRIVATE = (
    ".env",
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".sqlite",
    ".sqlite3",
    ".db",
    "id_rsa",
    "id_ed25519",
    ".netrc",
)


def test_no_file_of_the_repository_is_a_private_one() -> None:
    found = [path.relative_to(ROOT).as_posix() for path in _kept() if path.name.endswith(_PRIVATE)]
    assert found == []


@pytest.mark.parametrize(
    "text", ["sk-" + "ant-" + "a1" * 20, "gh" + "p_" + "a" * 36, "https://u:" + "secret@x"]
)
def test_a_secret_would_be_found(text: str) -> None:
    assert secrets_in(f"key = '{text}'", Redactor())
