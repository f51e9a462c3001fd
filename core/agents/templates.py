"""The files that prompts are made of: those that come with Orchard, and a project's own in their place.

A file is Markdown below a front matter with its version:

    ---
    version: 3
    ---
    You are the code role for one story ... $context

One that cannot be used is said with its file and line, and the one that comes with Orchard is taken.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from string import Template

from core.errors import InvalidInput

_PHASE = frozenset({"rights", "spec_path", "test_command", "context"})
# Each file's name, what it may hold as $name, and without which of these it would say nothing.
KNOWN: Mapping[str, tuple[frozenset[str], str]] = {
    "design": (_PHASE, "context"),
    "test_red": (_PHASE, "context"),
    "code_green": (_PHASE, "context"),
    "refactor": (_PHASE, "context"),
    "epic": (_PHASE, "context"),
    "steering": (frozenset({"words"}), "words"),
}
_LONGEST_BYTES = 200_000
_VERSION = re.compile(r"version:\s*([0-9]{1,9})\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplate:
    name: str
    version: int  # 1 and up
    text: str  # below the front matter
    source: str = ""  # the file; "": it came with Orchard

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTemplates:
    """A project's folder: what can be used of it, and a sentence with file and line for what cannot."""

    templates: Mapping[str, PromptTemplate]
    problems: tuple[str, ...]


class BadTemplate(InvalidInput):
    """It says what is wrong as `file:line: sentence`."""


def parse_template(name: str, raw: str, source: str) -> PromptTemplate:
    """Raises BadTemplate for no front matter, a placeholder that nobody fills, or a missing one."""
    where = source or f"{name}.md"
    lines = raw.removeprefix("\ufeff").splitlines()
    version, body = _front_matter(lines, where)
    known, needed = KNOWN[name]
    found = set()
    for number, line in enumerate(lines[body:], body + 1):
        for placeholder in _placeholders(line, f"{where}:{number}", known):
            found.add(placeholder)
    text = "\n".join(lines[body:]).strip()
    if not text:
        raise BadTemplate(f"{where}:{body + 1}: there is no text below the front matter.")
    if needed not in found:
        raise BadTemplate(
            f"{where}:{body + 1}: there is no ${needed}, so the agent would not hear what its task is."
            if needed == "context"
            else f"{where}:{body + 1}: there is no ${needed}, so the agent would not hear what was said."
        )
    return PromptTemplate(name=name, version=version, text=f"{text}\n", source=source)


def _front_matter(lines: list[str], where: str) -> tuple[int, int]:
    """The version, and the index of the first line below."""
    if not lines or lines[0].strip() != "---":
        raise BadTemplate(f"{where}:1: a prompt begins with a front matter: '---', 'version: 1', '---'.")
    version = None
    for index, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            if version is None:
                raise BadTemplate(f"{where}:{index + 1}: the front matter has no 'version: 1'.")
            return version, index + 1
        if not line.strip():
            continue
        said = _VERSION.fullmatch(line.strip())
        if said is None or int(said[1]) < 1 or version is not None:
            raise BadTemplate(
                f"{where}:{index + 1}: the front matter holds one 'version:' with a whole number from 1, "
                f"not {line.strip()[:60]!r}."
            )
        version = int(said[1])
    raise BadTemplate(f"{where}:1: the front matter is opened with '---' and not closed.")


def _placeholders(line: str, where: str, known: frozenset[str]) -> Iterator[str]:
    for match in Template.pattern.finditer(line):
        if match["escaped"] is not None:
            continue
        name = match["named"] or match["braced"]
        if name is None:
            raise BadTemplate(f"{where}: a '$' that stands for itself is written '$$'.")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" (did you mean ${near[0]}?)" if near else ""
            shown = ", ".join(f"${each}" for each in sorted(known))
            raise BadTemplate(f"{where}: nobody fills ${name}{hint}; there are {shown}.")
        yield name


@functools.cache
def built_in(name: str) -> PromptTemplate:
    """Raises InvalidInput for a phase without an agent."""
    file = resources.files("config") / "prompts" / f"{name}.md"
    if name not in KNOWN or not file.is_file():
        raise InvalidInput(f"No agent works in the phase {name}.")
    return parse_template(name, file.read_text(encoding="utf-8"), "")


def read_own(folder: Path) -> OwnTemplates:
    """All of a project's own prompts; whatever is there, nothing is raised."""
    found: dict[str, PromptTemplate] = {}
    problems: list[str] = []
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return OwnTemplates(
            templates={}, problems=(f"{folder}: the folder of prompts cannot be read: {error.strerror}.",)
        )
    for name in names:
        stem = name.removesuffix(".md")
        if not name.endswith(".md") or stem.upper() == "README":
            continue
        if stem not in KNOWN:
            near = get_close_matches(stem, KNOWN, n=1)
            hint = f" (did you mean {near[0]}.md?)" if near else ""
            shown = ", ".join(f"{each}.md" for each in KNOWN)
            problems.append(f"{folder / name}:1: no prompt is called so{hint}; there are {shown}.")
            continue
        try:
            own = _own(stem, folder)
        except BadTemplate as error:
            problems.append(error.message)
        else:
            assert own is not None
            found[stem] = own
    if not found and not problems:
        shown = ", ".join(f"{each}.md" for each in KNOWN)
        problems.append(f"{folder}: the folder of prompts holds none; there may be {shown}.")
    return OwnTemplates(templates=found, problems=tuple(problems))


def choose_template(name: str, folder: Path | None) -> tuple[PromptTemplate, str]:
    """The project's own where it has one that can be used, else Orchard's; and why not its own, with file and
    line, "" where there is nothing to say."""
    problem = ""
    if folder is not None:
        try:
            own = _own(name, folder)
        except BadTemplate as error:
            problem = error.message
        else:
            if own is not None:
                return own, ""
            if not folder.is_dir():
                problem = f"{folder}: the folder of prompts is not there."
    return built_in(name), problem


def _own(name: str, folder: Path) -> PromptTemplate | None:
    """None where the folder has no such file."""
    path = folder / f"{name}.md"
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadTemplate(f"{path}:1: it cannot be read: {error.strerror}.") from error
    if len(raw) > _LONGEST_BYTES:
        raise BadTemplate(f"{path}:1: it has more than {_LONGEST_BYTES} bytes.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadTemplate(f"{path}:{line}: it is not UTF-8.") from error
    return parse_template(name, text, str(path))
