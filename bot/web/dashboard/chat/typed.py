"""PURE: the line at the foot of the guild: which command and options it says, and what could come next.

`/backlog add_story title:Find a book priority:high`: an option is its name and a colon; its value goes on to
the next one, or stands in "quotes". Words without a name are the first option that takes text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.localguild.commands import CommandType, OptionType
from bot.localguild.options import CannotDo

Json = Mapping[str, Any]
_NESTED = (OptionType.SUB_COMMAND, OptionType.SUB_COMMAND_GROUP)
_SHOWN = 12
_MARKER = re.compile(r"(?:^|(?<=\s))(?P<name>[^\s:\"]{1,32}):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One that can be run: of a command with sub-commands there are as many as it has."""

    path: str  # "backlog add_story"
    description: str
    options: tuple[Json, ...]

    @property
    def usage(self) -> str:
        said = [f"{one['name']}:" if one.get("required") else f"[{one['name']}:]" for one in self.options]
        return " ".join([f"/{self.path}", *said])


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a line says. `focused`: the option at whose value the line ends, with what is typed of it."""

    command: Command
    values: Mapping[str, str]
    loose: str = ""  # words that belong to no option
    focused: str = ""
    text: str = ""
    before: str = ""  # the line without the focused option's value


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`line`: what stands in the line once it is taken."""

    label: str
    detail: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the bot has to be asked, to complete a value."""

    command: str
    focused: str
    text: str
    options: Mapping[str, str]
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """What a line brings up; `usage` and `about` of the command or option that it is at."""

    offers: tuple[Offer, ...] = ()
    ask: Ask | None = None
    usage: str = ""
    about: str = ""
    eager: bool = False  # the first offer is what Enter takes: what stands there cannot be run


def commands_of(listed: Sequence[Json]) -> tuple[Command, ...]:
    """What a person can run, by name."""
    found = [
        one
        for command in listed
        if command.get("type", CommandType.CHAT_INPUT) == CommandType.CHAT_INPUT
        for one in _leaves(command, command["name"])
    ]
    return tuple(sorted(found, key=lambda one: one.path))


def _leaves(node: Json, path: str) -> Iterator[Command]:
    inner = [one for one in node.get("options", ()) if one["type"] in _NESTED]
    if not inner:
        yield Command(path=path, description=node["description"], options=tuple(node.get("options", ())))
    for one in inner:
        yield from _leaves(one, f"{path} {one['name']}")


def is_command(line: str) -> bool:
    return line.startswith("/")


def read(line: str, commands: Sequence[Command]) -> Said:
    """What to run. Raises CannotDo in a sentence."""
    said = _said(line, commands)
    if said is None:
        word = line.removeprefix("/").split(" ")[0] if line.strip() != "/" else ""
        near = [one.path for one in commands if word and one.path.split()[0] == word.lower()]
        if near:
            raise CannotDo(f"/{word} has several: {', '.join('/' + one for one in near)}.")
        raise CannotDo(f"There is no command /{word[:40]}. Type / to see all.")
    said = _with_loose(said)
    missing = [
        one["name"]
        for one in said.command.options
        if one.get("required") and not said.values.get(one["name"])
    ]
    if missing:
        raise CannotDo(f"/{said.command.path} still needs {', '.join(missing)}. Usage: {said.command.usage}")
    return said


def help_for(line: str, commands: Sequence[Command]) -> Help:
    """What to show while a line is typed; nothing for plain words."""
    if not is_command(line):
        return Help()
    said = _said(line, commands)
    if said is None or line == f"/{said.command.path}":
        return Help(offers=_matching(line[1:].lower(), commands), eager=said is None)
    options = {one["name"]: one for one in said.command.options}
    if not said.focused or _is_finished(options[said.focused], said.text):
        return Help(
            offers=_open_options(line, said), usage=said.command.usage, about=said.command.description
        )
    option = options[said.focused]
    about = f"{option['name']}: {option['description']}"
    if option.get("autocomplete"):
        given = {name: value for name, value in said.values.items() if name != said.focused and value}
        ask = Ask(
            command=said.command.path,
            focused=said.focused,
            text=said.text,
            options=given,
            before=said.before,
        )
        return Help(ask=ask, usage=said.command.usage, about=about)
    choices = _choices(option)
    offers = chosen(said.before, said.text, choices) if choices else _after_text(line, said)
    return Help(offers=offers, usage=said.command.usage, about=about)


def _is_finished(option: Json, text: str) -> bool:
    """A value that was taken from a list, with the space after it."""
    if not text.strip() or not text.endswith(" "):
        return False
    choices = _choices(option)
    return bool(option.get("autocomplete")) or text.strip() in [value for _, value in choices]


def _after_text(line: str, said: Said) -> tuple[Offer, ...]:
    """The options whose name the last word may be the beginning of."""
    word = line.rpartition(" ")[2]
    return _open_options(line, said) if said.text.strip() and (len(word) > 1 or not word) else ()


def chosen(before: str, text: str, choices: Sequence[tuple[str, str]]) -> tuple[Offer, ...]:
    """Values to take, (name, value), that fit what was typed; none where one is there already."""
    typed = text.strip().lower()
    fit = [(name, value) for name, value in choices if typed in name.lower() or typed in value.lower()]
    if [value for _, value in fit] == [text.strip()]:
        return ()
    return tuple(_value(before, name, value) for name, value in fit[:_SHOWN])


def completed(ask: Ask, choices: Sequence[tuple[str, str]]) -> tuple[Offer, ...]:
    """What the bot offered, which has looked at the text itself."""
    if [value for _, value in choices] == [ask.text.strip()]:
        return ()
    return tuple(_value(ask.before, name, value) for name, value in choices[:_SHOWN])


def _value(before: str, name: str, value: str) -> Offer:
    quoted = f'"{value}"' if _MARKER.search(value) else value
    return Offer(label=name, detail="" if name == value else value, line=f"{before}{quoted} ")


def _choices(option: Json) -> list[tuple[str, str]]:
    if option["type"] == OptionType.BOOLEAN:
        return [("true", "true"), ("false", "false")]
    return [(str(one["name"]), str(one["value"])) for one in option.get("choices", ())]


def _matching(typed: str, commands: Sequence[Command]) -> tuple[Offer, ...]:
    typed = " ".join(typed.split())
    first = [one for one in commands if one.path.startswith(typed)]
    other = [one for one in commands if one not in first and typed in f"{one.path} {one.description}".lower()]
    return tuple(
        Offer(label=f"/{one.path}", detail=one.description, line=_begun(one)) for one in [*first, *other]
    )


def _begun(command: Command) -> str:
    """With the first option that it must have."""
    needed = next((one["name"] for one in command.options if one.get("required")), None)
    return f"/{command.path} " + (f"{needed}:" if needed else "")


def _open_options(line: str, said: Said) -> tuple[Offer, ...]:
    begun = "" if line.endswith(" ") else line.rpartition(" ")[2].lower()
    stem = line[: len(line) - len(begun)] if begun else line.rstrip() + " "
    left = [
        one
        for one in said.command.options
        if one["name"] not in said.values and one["name"].startswith(begun)
    ]
    left.sort(key=lambda one: not one.get("required"))
    return tuple(
        Offer(
            label=f"{one['name']}:",
            detail=("" if one.get("required") else "optional · ") + one["description"],
            line=f"{stem}{one['name']}:",
        )
        for one in left[:_SHOWN]
    )


def _said(line: str, commands: Sequence[Command]) -> Said | None:
    """None: no whole command stands there yet."""
    if not is_command(line):
        return None
    lowered = line[1:]
    fitting = [one for one in commands if _begins(lowered, one.path)]
    if not fitting:
        return None
    command = max(fitting, key=lambda one: len(one.path))
    start = 1 + len(command.path)
    return _values(line, start, command)


def _begins(text: str, path: str) -> bool:
    return text.lower() == path or text.lower().startswith(path + " ")


def _values(line: str, start: int, command: Command) -> Said:
    known = {one["name"] for one in command.options}
    values: dict[str, str] = {}
    loose: list[str] = []
    at, focused, text, before = start, "", "", line
    while at < len(line):
        marker = _next_marker(line, at, known)
        if marker is None:
            loose.append(line[at:])
            break
        loose.append(line[at : marker.start()])
        focused, before = marker["name"], line[: marker.end()]
        text, at, closed = _value_at(line, marker.end(), known)
        values[focused] = text.strip()
        if closed:
            focused = ""
    words = " ".join(" ".join(loose).split())
    return Said(
        command=command,
        values=values,
        loose=words,
        focused=focused,
        text=text if focused else "",
        before=before,
    )


def _with_loose(said: Said) -> Said:
    """Words without an option's name become one. Raises CannotDo where it is not clear which."""
    if not said.loose:
        return said
    texts = [one for one in said.command.options if one["type"] == OptionType.STRING]
    needed = [one["name"] for one in texts if one.get("required") and one["name"] not in said.values]
    free = needed or [one["name"] for one in texts if not said.values]
    if not free:
        raise CannotDo(f"What is '{said.loose[:40]}'? Usage: {said.command.usage}")
    return replace(said, values={**said.values, free[0]: said.loose}, loose="")


def _next_marker(line: str, at: int, known: set[str]) -> re.Match[str] | None:
    return next((one for one in _MARKER.finditer(line, at) if one["name"] in known), None)


def _value_at(line: str, at: int, known: set[str]) -> tuple[str, int, bool]:
    """The value, where the line goes on, and whether it is closed: by a quote, or a space before the end."""
    if line[at : at + 1] == '"' and (end := line.find('"', at + 1)) > 0:
        return line[at + 1 : end], end + 1, True
    following = _next_marker(line, at, known)
    if following is not None:
        return line[at : following.start()], following.start(), True
    return line[at:], len(line), False
