"""What a shell line would do, command by command, against a role's rights. PURE.

The programs that are known to change files, to start others, to hold code in their arguments or to reach out
are judged by their words; any other program is left to the sandbox, as a test suite or a compiler is. A word
that decides and is only known when it runs (a variable, a pattern, another command's output) needs a person.
Nothing is ever looked for inside of a text: a word is compared whole, after quotes are gone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from core.agents.roles import Rights
from core.agents.shell.git_rules import judge_git
from core.agents.shell.interpreter_rules import INTERPRETER, judge_interpreter
from core.agents.shell.line import Line, Redirection, SimpleCommand, Unparsable, Word
from core.agents.shell.line_reader import parse_line
from core.agents.shell.program_rules import RULES
from core.agents.shell.programs import (
    ASKED,
    DENIED,
    LIKE_SHELLS,
    OTHER_SHELLS,
    PUBLISHERS,
    PUBLISHING,
    RUNNERS,
    SHELLS,
    STARTABLE,
    STARTING,
    TELLING,
    TOLD_ONLY,
)
from core.agents.shell.wrappers import WRAPPERS, Opaque, unwrap

_DEEPEST = 6
_MOST_PLACES = 8  # folders that a line may be in, as it goes
_PROGRAM = re.compile(r"[A-Za-z0-9_.+:-]+|\[|:")
_PLAIN_OF_RUNNERS = frozenset({"--prefix", "-C", "--dir", "--cwd", "--workspace", "--filter"})
_PLAIN_OF_RUN = re.compile(
    r"--(branch|append|parallel-mode|frozen|locked|no-sync|active|offline|(source|omit|include|rcfile)=.*)"
)
_INSTALLING = frozenset(
    {"install", "i", "add", "ci", "remove", "uninstall", "view", "info", "list", "ls", "pip", "why"}
)
_LOADER = re.compile(r"ld(-linux|-musl)?[-.\w]*so[\d.]*")

_HARMLESS_PLACES = ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/fd/1", "/dev/fd/2")
_TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108 the sandbox's own; nothing is opened here


@dataclass(slots=True)
class Judge:
    """`worktree`: absolute, "" when not known; `cwd`: relative to it, None when not known."""

    rights: Rights
    worktree: str = ""
    cwd: str | None = ""
    denied: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _places: set[str | None] = field(default_factory=set)
    _written: set[str] = field(default_factory=set)
    _depth: int = 0

    def judge(self, text: str) -> None:
        """Fills `denied` and `asked` with reasons; both stay empty for a line within the rights."""
        self._places = {self.cwd}
        self._judge_text(text)

    def _judge_text(self, text: str) -> None:
        try:
            line = parse_line(text)
        except Unparsable as error:
            self.asked.append(f"a command that cannot be read with certainty: {error}")
        else:
            self._deeper(lambda: self._judge_line(line))

    def _judge_line(self, line: Line) -> None:
        for command in line.commands:  # before any is judged: in a loop the last one runs before the first
            self._written |= {
                posixpath.basename(each.target.text) for each in command.redirections if each.writes
            }
            if command.looped and any(word.text in ("cd", "chdir") for word in command.words):
                self._places = {None}
        for command in line.commands:
            for redirection in command.redirections:
                self._judge_redirection(redirection)
            for name, _ in command.assignments:
                self._judge_assignment(name)
            if command.words:
                self._judge_words(command.words, command, line.sequential and not command.looped)

    def _judge_assignment(self, name: str) -> None:
        if TELLING.fullmatch(name):
            self.asked.append(f"sets {name}, which tells programs what to run or where")

    def _judge_redirection(self, redirection: Redirection) -> None:
        target = redirection.target
        if target.text.startswith(("/dev/tcp/", "/dev/udp/")):
            self.asked.append("reaches out to the network")
        elif redirection.writes:
            self.writes([target], "is written to")

    # One command

    def _judge_words(self, words: Sequence[Word], command: SimpleCommand, certain: bool) -> None:
        if not words[0].literal:
            self.asked.append("the command's name is only known when it runs")
            return
        path = words[0].text
        name = posixpath.basename(path).lower().removesuffix(".exe")
        if (
            not _PROGRAM.fullmatch(name)
            or name.startswith("-")
            or any(character in path for character in "\\\n\t ")
        ):
            self.asked.append(f"no plain name of a program: {path[:80]!r}")
        elif name in DENIED:
            self.denied.append(f"{name} {DENIED[name]}")
        elif name in PUBLISHERS and _publishes(words[1:]):
            self.denied.append(f"{name} {words[1].text} publishes, which is Orchard's")
        elif (known := ASKED.get(name) or ASKED.get(name.partition(".")[0])) is not None:
            if [word.text for word in words[1:]] not in (["--version"], ["--help"]):
                self.asked.append(f"{name} {known}")
        elif name in WRAPPERS:
            self._judge_wrapped(name, words[1:], command)
        elif name == "eval":
            self._judge_joined(name, words[1:])
        elif name == "find":
            self._judge_find(words[1:], command)
        elif name in SHELLS or LIKE_SHELLS.fullmatch(name):
            self._judge_shell(name, words[1:], command)
        elif name in OTHER_SHELLS:
            self.asked.append(f"{name} reads commands in its own way")
        elif name == "git":
            judge_git(self, words[1:])
        elif name.startswith("git-"):  # /usr/lib/git-core has one a command
            judge_git(self, [Word(text=name.removeprefix("git-")), *words[1:]])
        elif name in ("cd", "chdir"):
            self._go(words[1:], certain)
        elif name in RULES:
            RULES[name](self, name, words[1:])
        elif name in RUNNERS:
            self._judge_runner(name, words[1:], command)
        elif _LOADER.fullmatch(name):
            self.asked.append(f"{name} starts commands that are not known")
        elif INTERPRETER.fullmatch(name):
            judge_interpreter(self, name, words[1:])
        else:
            self.judge_file(path)
            if name not in TOLD_ONLY:
                self._judge_unknown(name, words[1:])

    def _judge_started(self, words: Sequence[Word], command: SimpleCommand) -> None:
        """What another command starts."""
        self._deeper(lambda: self._judge_words(words, command, certain=False))

    def _judge_unknown(self, name: str, words: Sequence[Word]) -> None:
        """A program that no rule knows may start what its words name: `fd -x git push`, `honcho run sh`."""
        for word in words:
            parts = re.split(r"[\s,=;|&()'\"]+", word.text.lower())
            named = next((part for part in parts if posixpath.basename(part) in STARTABLE), "")
            if named and "/" in named and not named.startswith("/"):
                named = ""  # a file of the project
            if named or STARTING.fullmatch(word.text):
                self.asked.append(f"{name} with {word.text[:40]!r}, which it may start")
                return

    def _judge_wrapped(self, name: str, words: Sequence[Word], command: SimpleCommand) -> None:
        try:
            inner = unwrap(name, words)
        except Opaque as error:
            self.asked.append(f"{name}: {error}")
            return
        for variable in inner.variables:
            self._judge_assignment(variable)
        if inner.words:
            self._judge_started(inner.words, command)

    def _judge_runner(self, name: str, words: Sequence[Word], command: SimpleCommand) -> None:
        """`uv run CMD`, `npm exec CMD`: other subcommands are left to the sandbox."""
        while len(words) > 2 and words[0].literal and words[0].text in _PLAIN_OF_RUNNERS:
            words = words[2:]
        if not words:
            return
        if not words[0].literal or (words[0].text.startswith("-") and len(words) > 1):
            self.asked.append(f"{name} with options before its command")
        elif words[0].text in RUNNERS[name]:
            inner = words[1:]
            while inner and inner[0].literal and _PLAIN_OF_RUN.fullmatch(inner[0].text):
                inner = inner[1:]
            if inner and inner[0].literal and inner[0].text == "-m" and RUNNERS[name] == ("run",):
                judge_interpreter(self, "python", inner)
            elif not inner or inner[0].text.startswith("-"):
                self.asked.append(f"{name} {words[0].text} with options before the command")
            else:
                self._judge_started(inner, command)
        elif words[0].text not in _INSTALLING:
            self._judge_unknown(name, words)

    def _judge_find(self, words: Sequence[Word], command: SimpleCommand) -> None:
        if not all(word.literal for word in words):
            self.asked.append("find with words that are only known when it runs")
            return
        roots = [word for word in words if not word.text.startswith(("-", "(", "!"))][:1] or [Word(text=".")]
        at = 0
        while at < len(words):
            option = words[at].text
            at += 1
            if option == "-delete":
                self.writes(roots, "has files deleted by find", whole=True)
            elif option in ("-fprint", "-fprint0", "-fls", "-fprintf"):
                self.writes(words[at : at + 1], "is written by find")
            elif option in ("-exec", "-execdir", "-ok", "-okdir"):
                end = next((i for i in range(at, len(words)) if words[i].text in (";", "+")), len(words))
                unknown = [
                    Word(text=word.text, literal="{}" not in word.text, quoted=word.quoted)
                    for word in words[at:end]
                ]
                if option.endswith("dir"):
                    self._places.add(None)
                if unknown:
                    self._judge_started(unknown, command)
                at = end + 1

    def _judge_shell(self, name: str, words: Sequence[Word], command: SimpleCommand) -> None:
        at = 0
        while (
            at < len(words) and words[at].literal and words[at].text[:1] in "-+" and len(words[at].text) > 1
        ):
            option = words[at].text
            at += 1
            if option == "--":
                break
            if option in ("--version", "--help"):
                return
            if option in ("--norc", "--noprofile", "--posix", "--login"):
                continue
            if not re.fullmatch(r"[-+][eulxcfnv]+o?", option) or "n" in option:
                self.asked.append(f"{name} with an option that is not known: {option[:40]}")
                return
            if option.endswith("o"):
                at += 1  # the setting's name
            if "c" in option:
                if at < len(words) and words[at].text[:1] in ("-", "+"):
                    self.asked.append(f"{name} -c with more options")
                    return
                self._judge_joined(f"{name} -c", words[at : at + 1])
                return
        if at < len(words):
            self.judge_script(words[at])
        elif command.fed is None or command.piped or sum(r.feeds for r in command.redirections) != 1:
            self.asked.append(f"{name} runs what it reads, which is not known")
        else:
            self._judge_joined(name, [command.fed])

    def _judge_joined(self, name: str, words: Sequence[Word]) -> None:
        if not words or not all(word.literal for word in words):
            self.asked.append(f"{name} runs a text that is only known when it runs")
        else:
            self._judge_text(" ".join(word.text for word in words))

    def judge_script(self, word: Word) -> None:
        """A script that is named in a word."""
        if not word.literal:
            self.asked.append("runs a script whose name is only known when it runs")
        else:
            self.judge_file(word.text, script=True)

    def judge_file(self, path: str, *, script: bool = False) -> None:
        """A file that is run: not one that this line itself writes, and none that hands on an input."""
        if (script or "/" in path) and (path.startswith(("/dev/", "/proc/")) or path == "-"):
            self.asked.append("runs what it reads, which is not known")
        elif posixpath.basename(path) in self._written:
            self.asked.append(f"runs {path[:80]}, which it writes before")

    # Places and files

    def _go(self, words: Sequence[Word], certain: bool) -> None:
        words = [word for word in words if word.text not in ("--", "-P", "-L") or not word.literal]
        target = words[0] if len(words) == 1 and words[0].literal and words[0].text != "-" else None
        new = {self._resolved(place, target.text) if target else None for place in self._places}
        self._places = new if certain and self._depth == 1 else self._places | new
        if len(self._places) > _MOST_PLACES:
            self._places = {None}

    def _resolved(self, place: str | None, path: str) -> str | None:
        """`path` seen from `place`: relative to the worktree, absolute when outside, None when not known."""
        if path.startswith("/"):
            whole = posixpath.normpath(path)
            if self.worktree and (whole == self.worktree or whole.startswith(f"{self.worktree}/")):
                return posixpath.relpath(whole, self.worktree)
            return whole if not whole.startswith("//") else whole[1:]
        if place is None:
            return None
        return posixpath.normpath(posixpath.join(place, path))

    def writes(self, targets: Iterable[Word], how: str, *, whole: bool = False, folder: bool = False) -> None:
        """Judges files that are changed. `whole`: what lies below, too; `folder`: a folder is made."""
        for target in targets:
            if not target.literal or not target.text:
                self.asked.append(f"a file {how} whose name is only known when it runs")
                continue
            self._written.add(posixpath.basename(target.text))
            found = {self._may(place, target.text, whole=whole, folder=folder) for place in self._places}
            if found == {False} and not folder:
                self.denied.append(f"{self.rights.describe()}; not {target.text[:80]}")
            elif found != {True}:
                self.asked.append(f"{target.text[:80]} {how}, and may lie outside the role's rights")

    def links(self, sources: Iterable[Word], target: Word) -> None:
        """Judges what links lead to: who writes through one writes there."""
        for source in sources:
            ways = {target.text, posixpath.dirname(target.text)} if target.literal else set()
            found = {
                self._may(place, posixpath.join(way, source.text), whole=True, folder=False)
                for place in self._places
                for way in ("", *ways)
            }
            if not source.literal or not target.literal or found != {True}:
                self.asked.append(f"a link to {source.text[:80]}, by which other files may be written")

    def _may(self, place: str | None, text: str, *, whole: bool, folder: bool) -> bool | None:
        path = self._resolved(place, text)
        if path is None:
            return None
        if path in _HARMLESS_PLACES or path.startswith(_TEMPORARY):
            return True
        inside = self.rights.may_write(f"{path}/_")
        if folder:
            return inside or self.rights.may_write(path)
        return self.rights.may_write(path) and (inside or not whole)

    def _deeper(self, call: Callable[[], None]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            self.asked.append("commands inside of commands are nested too deeply")
        else:
            call()
        self._depth -= 1


def _publishes(words: Sequence[Word]) -> bool:
    texts = [word.text for word in words if not word.text.startswith("-")]
    if texts[:1] in (["npm"], ["nuget"], ["pub"]):
        del texts[0]
    return bool(texts) and texts[0] in PUBLISHING
