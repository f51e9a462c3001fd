"""A shell line as it was read: its commands, their words, redirections and standard input. PURE."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WRITING = frozenset({"&>>", ">>", ">|", "<>", ">&", "&>", ">"})


class Unparsable(ValueError):
    """The line cannot be read with certainty; the text says why, without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word after quotes were taken away."""

    text: str
    literal: bool = True  # nothing of it is expanded: no variable, substitution, tilde, braces, pattern
    quoted: bool = False  # some of it was: it is no keyword
    pattern: bool = False  # what is expanded is a file pattern, and nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    operator: str
    target: Word
    number: str = ""  # the file descriptor, when one is named

    @property
    def feeds(self) -> bool:
        """Whether the standard input comes from here."""
        return self.operator.startswith("<") and self.number.strip("0") == ""

    @property
    def writes(self) -> bool:
        """Whether a file is opened for writing; `2>&1` and `>&-` open none."""
        copies = (
            self.operator in (">&", "<&")
            and self.target.literal
            and re.fullmatch(r"\d+-?|-", self.target.text)
        )
        return self.operator in _WRITING and not copies


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleCommand:
    """`words` is empty for assignments or redirections alone."""

    words: tuple[Word, ...] = ()
    assignments: tuple[tuple[str, Word], ...] = ()
    redirections: tuple[Redirection, ...] = ()
    fed: Word | None = None  # the here-document or here-string on its standard input
    piped: bool = False  # its standard input is a pipe
    looped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    commands: tuple[SimpleCommand, ...]  # also those of substitutions, in the order of their ends
    sequential: bool  # nothing but simple commands joined by &&: each runs only after all before


@dataclass(slots=True)
class Building:
    """A command in the making: its here-documents come lines later, what feeds a group after the group."""

    words: list[Word] = field(default_factory=list)
    assignments: list[tuple[str, Word]] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    fed: Word | None = None
    piped: bool = False
    looped: bool = False

    def command(self) -> SimpleCommand:
        return SimpleCommand(
            words=tuple(self.words),
            assignments=tuple(self.assignments),
            redirections=tuple(self.redirections),
            fed=self.fed,
            piped=self.piped,
            looped=self.looped,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HereDocument:
    end: str
    expands: bool
    without_tabs: bool
    command: Building
