"""What an exception says about its cause, as plain JSON values. Runs inside the project's test process.

PYTEST_DONT_REWRITE. Standard library only; Python 3.8 and newer.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
from types import FrameType, ModuleType
from typing import Any, Dict, Iterator, List, Optional, Tuple  # noqa: UP035 - read by Python 3.8

Facts = Dict[str, Any]  # noqa: UP006

_WRAPPERS = ("CollectError", "ConftestImportFailure")  # pytest's own, around the exception that matters
_STEPS = 40  # of a traceback; a recursion has a thousand
_CALLED = re.compile(r"([A-Za-z_][\w.]*)\(\) (?:got|takes|missing)")
_MODULE = re.compile(r"module '([\w.]+)'")
_CLASS = re.compile(r"type object '(\w+)'|'(\w+)' object has no attribute")
_MOCKED = re.compile(r"<(?:module|class) '([\w.]+)'")
_SKIPPING = re.compile(r"skip|xfail", re.IGNORECASE)
_STAR = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+\*", re.MULTILINE)


class Tree:
    """The checkout under test: says which files are the repository's."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root) + os.sep
        self._known: Dict[str, str] = {}  # noqa: UP006

    def relative(self, filename: Optional[str]) -> str:  # noqa: UP045
        """The path from the repository's top with "/", or "" for a file from elsewhere."""
        if not filename or not os.path.isabs(filename):
            return ""
        found = self._known.get(filename)
        if found is None:
            real = os.path.realpath(filename)
            found = real[len(self._root) :].replace(os.sep, "/") if real.startswith(self._root) else ""
            self._known[filename] = found
        return found


def describe(error: BaseException, when: str, tree: Tree) -> Facts:
    """Facts of one exception; see Failure in core/domain/evidence.py for the keys. Never raises."""
    try:
        return _describe(error, when, tree)
    except Exception as trouble:  # an exception class under test can misbehave in any way
        return {"exception": type(error).__name__, "when": when, "message": f"({trouble!r})"[:200]}


def _describe(error: BaseException, when: str, tree: Tree) -> Facts:
    while type(error).__name__ in _WRAPPERS and error.__cause__ is not None:
        error = error.__cause__
    steps = list(_steps(error, tree))
    facts: Facts = {
        "exception": _type_name(type(error)),
        "when": when,
        "message": _text(error)[:500],
        "files": [path for path, _function, _frame in steps],
        "functions": [function for _path, function, _frame in steps],
    }
    inner = getattr(error, "exceptions", None)
    if isinstance(inner, tuple):
        facts["group"] = sorted(set(_leaves(inner)))
    frame = steps[-1][2] if steps else None
    if isinstance(error, SyntaxError):
        facts["syntax_file"] = tree.relative(error.filename)
    elif isinstance(error, ImportError):
        facts.update(_import(error, tree))
    elif isinstance(error, NameError):
        facts.update(_name(error, frame, tree))
    elif isinstance(error, AttributeError):
        facts.update(_attribute(error, frame, tree))
    elif isinstance(error, TypeError):
        facts.update(_call(error, frame, tree))
    elif type(error).__name__ == "FixtureLookupError":
        facts["missing"] = str(getattr(error, "argname", "") or "")
    return facts


def skipped_by(error: BaseException, tree: Tree) -> Optional[str]:  # noqa: UP045
    """The repository's file whose code skipped a test by raising `error`: "" when nothing can tell, None when
    no file of the repository took part. Never raises.

    It is the last of the repository's on the way to the exception. Where that step calls pytest or unittest
    at once, its line must say so: a name out of the code under test may stand for `pytest.skip`.
    """
    try:
        return _skipped_by(error, tree)
    except Exception:  # an exception class under test can misbehave in any way
        return ""


def _skipped_by(error: Optional[BaseException], tree: Tree) -> Optional[str]:  # noqa: UP045
    for _ in range(5):  # unittest and pytest raise one of their own in place of the test's
        if error is None:
            break
        last, after = None, None
        step = error.__traceback__
        while step is not None:
            if tree.relative(step.tb_frame.f_code.co_filename):
                last, after = step, None
            elif last is not None and after is None:
                after = step
            step = step.tb_next
        if last is not None:
            name = last.tb_frame.f_code.co_filename
            foreign = after is not None and not _is_runners(after.tb_frame)
            if not foreign and not _SKIPPING.search(linecache.getline(name, last.tb_lineno)):
                return ""
            return tree.relative(name)
        error = error.__context__
    return None


def _is_runners(frame: FrameType) -> bool:
    """Whether the code is pytest's or unittest's own; what has no file may stand for them."""
    filename = frame.f_code.co_filename
    folders = filename.split(os.sep)[:-1]
    return not os.path.isabs(filename) or "_pytest" in folders or "unittest" in folders


def _steps(error: BaseException, tree: Tree) -> Iterator[Tuple[str, str, FrameType]]:  # noqa: UP006
    found: List[Tuple[str, str, FrameType]] = []  # noqa: UP006
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        path = tree.relative(code.co_filename)
        if path:
            found.append((path, code.co_name, step.tb_frame))
        step = step.tb_next
    yield from found[: _STEPS // 4]
    yield from found[_STEPS // 4 :][-_STEPS:]


def _leaves(errors: Tuple[BaseException, ...]) -> Iterator[str]:  # noqa: UP006
    for error in errors[:50]:
        inner = getattr(error, "exceptions", None)
        if isinstance(inner, tuple):
            yield from _leaves(inner)
        else:
            yield _type_name(type(error))


def _import(error: ImportError, tree: Tree) -> Facts:
    text = _text(error)
    if isinstance(error, ModuleNotFoundError):
        named = re.search(r"No module named '?([\w.]+)", text)
        return {"missing": error.name or (named.group(1) if named else "")}
    cannot = re.search(
        r"cannot import name '?(\w+)'?(?: from (?:partially initialized module )?'([\w.]+)')?", text
    )
    if not cannot:
        return {"owner": error.name or ""}
    owner = cannot.group(2) or error.name or ""
    return {"missing": cannot.group(1), **_owner(owner, error.path or _file_of(owner), tree)}


def _name(error: NameError, frame: Optional[FrameType], tree: Tree) -> Facts:  # noqa: UP045
    named = re.search(r"name '(\w+)'", _text(error))
    facts: Facts = {"missing": getattr(error, "name", None) or (named.group(1) if named else "")}
    if frame is not None:
        # `from shop import *` is the one way in which a name of another module is written bare.
        source = "".join(linecache.getlines(frame.f_code.co_filename))
        for module in _STAR.findall(source):
            path = tree.relative(_file_of(module))
            if path:
                facts.update(owner=module, owner_file=path)
    return facts


def _attribute(error: AttributeError, frame: Optional[FrameType], tree: Tree) -> Facts:  # noqa: UP045
    text = _text(error)
    named = re.search(r"attribute '(\w+)'", text)
    facts: Facts = {"missing": getattr(error, "name", None) or (named.group(1) if named else "")}
    holder = getattr(error, "obj", None)  # Python 3.10 and newer
    if holder is not None:
        facts.update(_owner_of(holder, tree))
        return facts
    module = _MODULE.search(text) or _MOCKED.search(text)
    if module:
        name = module.group(1)
        if name not in sys.modules:
            name = name.rpartition(".")[0]
        facts.update(_owner(name, _file_of(name), tree))
        return facts
    of_class = _CLASS.search(text)
    if of_class:
        facts.update(_named(of_class.group(1) or of_class.group(2), frame, tree))
    return facts


def _call(error: TypeError, frame: Optional[FrameType], tree: Tree) -> Facts:  # noqa: UP045
    """A call that does not fit its signature is raised where it is made: whose function was it?"""
    called = _CALLED.search(_text(error))
    return _named(called.group(1).split(".")[0], frame, tree) if called else {}


def _named(name: str, frame: Optional[FrameType], tree: Tree) -> Facts:  # noqa: UP045
    """Who owns the function or class called `name`, as seen from a frame."""
    if frame is None:
        return {}
    for space in (frame.f_locals, frame.f_globals):
        found = space.get(name)
        if found is not None:
            return _owner_of(found, tree)
        for value in list(space.values()):
            if type(value).__name__ == name:
                return _owner_of(type(value), tree)
            if isinstance(value, ModuleType) and hasattr(value, name):
                return _owner_of(getattr(value, name), tree)
    return {}


def _owner_of(value: Any, tree: Tree) -> Facts:
    if isinstance(value, ModuleType):
        return _owner(value.__name__, getattr(value, "__file__", None) or _first_path(value), tree)
    name = getattr(value, "__module__", None)
    if not isinstance(name, str):
        name = type(value).__module__
    # An object of a class from elsewhere may well be what the code under test returned: not foreign.
    return {**_owner(name, _file_of(name), tree), "owner_foreign": False}


def _owner(name: str, filename: Optional[str], tree: Tree) -> Facts:  # noqa: UP045
    path = tree.relative(filename)
    known = name in sys.modules
    return {"owner": name, "owner_file": path, "owner_foreign": known and not path and name != "builtins"}


def _file_of(name: str) -> Optional[str]:  # noqa: UP045
    module = sys.modules.get(name)
    return (getattr(module, "__file__", None) or _first_path(module)) if module is not None else None


def _first_path(module: Any) -> Optional[str]:  # noqa: UP045
    """A namespace package has folders but no file."""
    paths = list(getattr(module, "__path__", ()))
    return os.path.join(paths[0], "__init__.py") if paths else None


def _type_name(kind: type) -> str:
    module = getattr(kind, "__module__", "builtins")
    name = getattr(kind, "__qualname__", kind.__name__)
    return name if module in ("builtins", "_pytest.outcomes") else f"{module}.{name}"


def _text(error: BaseException) -> str:
    return str(error)
