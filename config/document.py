"""A YAML file as plain data with the place of every key. Reading never raises for what the file holds.

Scalars follow YAML 1.2's core: `yes`, `on`, `17:00` and `2026-01-01` are text, no booleans, minutes or dates.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from config.problems import Mark, Problem, unreadable

LARGEST_BYTES = 256 * 1024
_MOST_NODES = 100_000  # aliases can make a small file grow without end
_DEEPEST = 40

KeyPath = tuple[str | int, ...]

_UNREADABLE = object()  # a value with a problem of its own: left out, so that it is reported once


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """`data` is the file's mapping (empty for an empty file); `marks` has a Mark for each key and list item.

    `broken`: the text is not YAML at all, so `data` says nothing.
    """

    file: str
    data: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[KeyPath, Mark] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    broken: bool = False


class _Core(yaml.resolver.BaseResolver):
    """YAML 1.2's idea of what is not text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_Core.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Core.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Core.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Core.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)
_Core.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


class _Loader(_Core, yaml.SafeLoader):
    pass


if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _FastLoader(_Core, Composer, CParser, SafeConstructor, Resolver):
        """libyaml reads the text, in a fifth of the time. Its nodes are put together as the other's are:
        libyaml's own composer has no limit to its recursion."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

else:  # a PyYAML that was built without it
    _FastLoader = _Loader  # type: ignore[misc, assignment]


def read_document(path: Path) -> Document | None:
    """The file, or None where there is none. Only regular files are opened: a pipe would never end."""
    name = str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return _broken(name, Mark(file=name), "is not a regular file")
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            return _broken(name, Mark(file=name), f"is a link to {path.readlink()}, which does not exist")
        return None
    except OSError as error:
        return Document(file=name, problems=(unreadable(path, error),), broken=True)
    if len(raw) > LARGEST_BYTES:
        return _broken(
            name, Mark(file=name), f"is larger than {LARGEST_BYTES // 1024} KiB: surely not settings"
        )
    return parse_document(raw, name)


def parse_document(raw: bytes, file: str) -> Document:
    """The text of a file; `file` is what marks call it."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = _mark_at(raw[: error.start].decode("utf-8", "replace"), file)
        return _broken(file, mark, f"is not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8")
    try:
        try:
            return _walked(_FastLoader(text), file)
        except yaml.YAMLError:  # the other one has the better words for what is wrong, and where
            return _walked(_Loader(text), file)
    except yaml.reader.ReaderError as error:
        place = _mark_at(text[: error.position], file)
        return _broken(
            file,
            place,
            f"holds the control character U+{ord(text[error.position]):04X}, which YAML does not allow",
        )
    except yaml.MarkedYAMLError as error:
        return _syntax_error(error, text, file)
    except RecursionError:
        return _broken(file, Mark(file=file), f"is nested deeper than {_DEEPEST} levels")


def _walked(loader: _Loader | _FastLoader, file: str) -> Document:
    try:
        return _Walk(loader, file).document(loader.get_single_node())
    finally:
        loader.dispose()


def _broken(file: str, mark: Mark, sentence: str) -> Document:
    return Document(file=file, problems=(Problem(mark=mark, key="", sentence=sentence),), broken=True)


def _mark_at(before: str, file: str) -> Mark:
    line = before.count("\n")
    return Mark(file=file, line=line + 1, column=len(before) - (before.rfind("\n") + 1) + 1)


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> Document:
    where = error.problem_mark or error.context_mark
    mark = Mark(file=file, line=where.line + 1, column=where.column + 1) if where else Mark(file=file)
    lines = text.split("\n")
    line = lines[where.line] if where and where.line < len(lines) else ""
    if "\t" in (error.problem or "") or re.match(r" *\t", line):
        return _broken(file, mark, "holds a tab where YAML wants spaces: indent with spaces")
    if isinstance(error, yaml.composer.ComposerError) and "single document" in (error.context or ""):
        return _broken(file, mark, "holds a second document ('---'): keep one a file")
    words = ", ".join(part for part in (error.context, error.problem) if part)
    return _broken(file, mark, f"is not YAML: {words}")


class _TooMuch(Exception):
    """The walk gave up; `mark` says where."""

    def __init__(self, mark: Mark, sentence: str) -> None:
        super().__init__(sentence)
        self.mark = mark
        self.sentence = sentence


class _Walk:
    """Turns nodes into data; notes a mark for each key, and a problem for each double or odd key."""

    def __init__(self, loader: _Loader | _FastLoader, file: str) -> None:
        self._loader = loader
        self._file = file
        self._marks: dict[KeyPath, Mark] = {}
        self._problems: list[Problem] = []
        self._seen = 0
        self._ancestors: set[int] = set()

    def document(self, node: yaml.Node | None) -> Document:
        if node is None:
            return Document(file=self._file)
        try:
            data = self._value(node, ())
        except _TooMuch as reason:
            return _broken(self._file, reason.mark, reason.sentence)
        if data is None or data is _UNREADABLE:
            data = {}
        if not isinstance(data, dict):
            found = "a list" if isinstance(data, list) else f"{type(data).__name__} {str(data)[:40]!r}"
            sentence = f"should hold keys and values, not {found}"
            return _broken(self._file, self._mark(node), sentence)
        return Document(file=self._file, data=data, marks=self._marks, problems=tuple(self._problems))

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(file=self._file, line=node.start_mark.line + 1, column=node.start_mark.column + 1)

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._seen += 1
        if self._seen > _MOST_NODES:
            raise _TooMuch(self._mark(node), f"grows to more than {_MOST_NODES} values by its aliases")
        if len(path) > _DEEPEST:
            raise _TooMuch(self._mark(node), f"is nested deeper than {_DEEPEST} levels")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._ancestors:
            raise _TooMuch(self._mark(node), "holds an alias to itself")
        self._ancestors.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            assert isinstance(node, yaml.SequenceNode)
            return self._list(node, path)
        finally:
            self._ancestors.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._problem(node, path, f"has the tag {node.tag!r}, which settings do not use")
            return _UNREADABLE
        try:
            return self._loader.construct_object(node)
        except (yaml.constructor.ConstructorError, ValueError, OverflowError):
            self._problem(
                node,
                path,
                f"cannot be read as {node.tag.removeprefix('tag:yaml.org,2002:')}: {node.value[:40]!r}",
            )
            return _UNREADABLE

    def _list(self, node: yaml.SequenceNode, path: KeyPath) -> list[Any]:
        items = []
        for index, child in enumerate(node.value):
            self._marks[(*path, index)] = self._mark(child)
            items.append(self._value(child, (*path, index)))
        return [item for item in items if item is not _UNREADABLE]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node, merged in self._pairs(node, path, (node,)):
            key = self._key(key_node, path)
            if key is None or (merged and key in lines):
                continue
            if key in lines:
                self._problem(
                    key_node, (*path, key), f"stands here a second time; the first is in line {lines[key]}"
                )
                continue
            lines[key] = key_node.start_mark.line + 1
            self._marks[(*path, key)] = self._mark(key_node)
            value = self._value(value_node, (*path, key))
            if value is not _UNREADABLE:
                result[key] = value
        return result

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._problem(node, path, "a key should be a word, not a list or a mapping")
        elif node.tag != "tag:yaml.org,2002:str":
            self._problem(node, path, f'the key {node.value or "null"} is no text: write "{node.value}"')
        else:
            return str(node.value)
        return None

    def _pairs(
        self, node: yaml.MappingNode, path: KeyPath, trail: tuple[yaml.Node, ...]
    ) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """Own keys first, then what `<<` brings in (True): the nearer one wins."""
        sources: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                yield key, value, len(trail) > 1
            else:
                sources += value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self._problem(source, path, "'<<' should name a mapping")
            elif any(source is one for one in trail) or len(trail) > _DEEPEST:
                raise _TooMuch(self._mark(source), "holds an alias to itself")
            else:
                yield from self._pairs(source, path, (*trail, source))

    def _problem(self, node: yaml.Node, path: KeyPath, sentence: str) -> None:
        self._problems.append(Problem(mark=self._mark(node), key=dotted(path), sentence=sentence))


def dotted(path: KeyPath) -> str:
    """`("projects", "shop", "team", 0)` as `projects.shop.team[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
