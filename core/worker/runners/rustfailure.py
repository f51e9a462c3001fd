"""PURE: what rustc's errors and a panic's words tell of the cause. Error codes: rustc's own index of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.domain.evidence import Failure
from core.worker.runners.programs import is_to_come, most_telling

Error = Mapping[str, Any]

_PANIC = re.compile(r"panicked at (?P<file>[^\n]+?):\d+:\d+:\n(?P<message>[^\n]*)")
_OLD_PANIC = re.compile(r"panicked at '(?P<message>.*?)', (?P<file>[^\n]+?):\d+:\d+", re.DOTALL)
_UNRESOLVED = re.compile(r"unresolved imports? `(?P<path>[\w:]+)`")
_IN_OWNER = re.compile(r"`(?P<name>\w+)` in (?:\w+ )?`(?P<owner>[\w:]+)`")
_NO_CRATE = re.compile(
    r"(?:unresolved module or unlinked crate|undeclared crate or module|module or crate) `(?P<name>\w+)`"
)
_CANNOT_FIND = re.compile(r"cannot find [\w ,]+?`(?P<name>\w+)`|undeclared type `(?P<type>\w+)`")
_NAMED = re.compile(r"`(?P<name>[^`]+)`")
_ON_TYPE = re.compile(r"(?:found for|on type|on value of type) (?:\w+ )*`(?P<owner>[^`]+)`")
_STRUCT_FIELD = re.compile(r"`(?P<owner>[^`]+)` (?:has no|does not have)[^`]*`(?P<name>\w+)`")
_NO_FILE = re.compile(r"file not found for module `(?P<name>\w+)`")
_IMPORTS = frozenset({"E0432", "E0433"})
_MEMBERS = frozenset({"E0026", "E0559", "E0560", "E0599", "E0609", "E0610"})
_FOLLOWING = frozenset({"E0282", "E0283", "E0308", "E0277"})  # may follow from a name that is not there
_STANDARD = frozenset(
    {
        "Arc", "BTreeMap", "BTreeSet", "Box", "Cell", "Cow", "Duration", "HashMap", "HashSet", "Instant",
        "Mutex", "Option", "Path", "PathBuf", "Rc", "RefCell", "Result", "RwLock", "String", "Vec",
        "VecDeque", "bool", "char",
        "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16",
        "u32", "u64", "u128", "usize",
    }
)  # fmt: skip


def why_broken(errors: Sequence[Error]) -> Failure:
    """Of all errors of a file the one that tells most against it; names that are to come only when there is
    nothing else.
    """
    found = [(_failure(error), str(error["code"])) for error in errors]
    missing = any(is_to_come(failure) for failure, _ in found)
    telling = [failure for failure, code in found if not (missing and code in _FOLLOWING)]
    return most_telling(telling or [failure for failure, _ in found])


def _failure(error: Error) -> Failure:
    message, label, code = str(error["message"]), str(error["label"]), str(error["code"])
    own = str(error["file"])

    def made(exception: str, **rest: Any) -> Failure:
        return Failure(exception=exception, when="collect", message=message[:500], files=(own,), **rest)

    def missing_in(owner: str, name: str) -> Failure:
        """A name that is not in `owner`, a path of Rust."""
        first = owner.partition("::")[0]
        if first in ("crate", "self", "super"):
            file = str(error["product"]) if error["inside"] else own
        elif first in error["crates"]:
            file = str(error["product"])
        elif first in error["defines"]:
            file = own
        elif first[:1].isupper() and first not in _STANDARD:
            file = str(error["product"])  # a type that came by an import that is not in doubt
        else:
            return made("ModuleNotFoundError", missing=name, owner=owner, owner_foreign=True)
        return made("ImportError", missing=name, owner=owner, owner_file=file)

    if no_file := _NO_FILE.search(message):
        return made("ImportError", missing=no_file["name"], owner=own, owner_file=own)
    if not code and "cannot find" not in message:
        return made("SyntaxError", syntax_file=own)
    if code in _IMPORTS or "cannot find" in message:
        if unresolved := _UNRESOLVED.search(message):
            owner, _, name = unresolved["path"].rpartition("::")
            return missing_in(owner or name, name)
        if in_owner := _IN_OWNER.search(message) or _IN_OWNER.search(label):
            return missing_in(in_owner["owner"], in_owner["name"])
        return _unknown_name(error, made)
    if code in _MEMBERS:
        return _member(error, made)
    product = [file for file in error["seen"] if file != own and not _is_test(file)]
    if product:  # it is there, and in another shape
        return made(code, owner_file=product[0])
    return made(code)


def _unknown_name(error: Error, made: Any) -> Failure:
    """A name without an owner: of the code under test where all of its names were asked for."""
    words = f"{error['message']}\n{error['label']}"
    found = _CANNOT_FIND.search(words)
    name = (found["name"] or found["type"]) if found else ""
    if error["glob"] and not (_NO_CRATE.search(words) and name not in error["crates"]):
        return made(  # type: ignore[no-any-return]
            "ImportError", missing=name, owner=error["product"], owner_file=error["product"]
        )
    if crate := _NO_CRATE.search(words):
        return made(  # type: ignore[no-any-return]
            "ModuleNotFoundError", missing=crate["name"], owner="Cargo.toml", owner_foreign=True
        )
    return made("NameError", missing=name)  # type: ignore[no-any-return]


def _member(error: Error, made: Any) -> Failure:
    """A method, field or variant that a type does not have."""
    message = str(error["message"])
    named = _NAMED.search(message)
    name = named["name"] if named else ""
    if field := _STRUCT_FIELD.search(message):
        owner, name = field["owner"], field["name"]
    else:
        on_type = _ON_TYPE.search(message)
        owner = on_type["owner"] if on_type else ""
    bare = re.sub(r"<.*", "", owner.replace("&", "").replace("mut ", "")).rpartition("::")[2].strip()
    if bare in error["defines"]:
        return made(  # type: ignore[no-any-return]
            "AttributeError", missing=name, owner=owner, owner_file=error["file"]
        )
    if not bare or bare in _STANDARD or not bare.isidentifier():
        return made("AttributeError", missing=name, owner=owner, owner_foreign=True)  # type: ignore[no-any-return]
    return made(  # type: ignore[no-any-return]
        "AttributeError", missing=name, owner=owner, owner_file=error["product"]
    )


def _is_test(path: str) -> bool:
    return "tests" in path.split("/")


def why_failed(output: str, code: int) -> Failure:
    """A panic, an error that a test returned, a signal."""
    panic = _PANIC.search(output) or _OLD_PANIC.search(output)
    if panic is not None:
        message = panic["message"].strip()
        exception = "AssertionError" if message.startswith("assertion") else "panic"
        file = panic["file"]
        files = () if file.startswith("/") else (file,)
        return Failure(exception=exception, message=message[:500], files=files)
    if code < 0:
        return Failure(exception=f"signal {-code}", message="the test's process was killed")
    if (at := output.find("\nError: ")) >= 0 or output.startswith("Error: "):
        return Failure(exception="Error", message=output[max(at, 0) :].strip().splitlines()[0][:500])
    return Failure(exception=f"exit code {code}", message="the test's process ended so")
