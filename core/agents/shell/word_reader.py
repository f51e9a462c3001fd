"""The words of a shell line: quotes, variables, substitutions, patterns. PURE.

What a substitution holds is a list of commands, which `core.agents.shell.line_reader` reads.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Self

from core.agents.shell.line import Building, HereDocument, Unparsable, Word

_DEEPEST = 12
_KEYWORD = re.compile(r"(?:[a-z]+|[!{}]|\[\[)(?=[\s;&|<>()]|$)")
_PARAMETER = re.compile(
    r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9?#@*!$-]|\{(?:[A-Za-z_][A-Za-z0-9_]*|[0-9?#@*!$-])\})"
)
_PLAIN_SUM = re.compile(r"\$\(\([0-9 +*/%()-]*\)\)")


class WordReader(ABC):
    """`built` grows by each command; one reader a text, and one more for each text inside of it."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self.text = text
        self.at = 0
        self.built: list[Building] = []
        self.sequential = True
        self._waiting: list[HereDocument] = []
        self._depth = depth
        self._loops = 0

    @abstractmethod
    def read_all(self) -> None:
        """The whole text, as a list of commands."""

    @abstractmethod
    def _read_inner_list(self) -> None: ...

    @abstractmethod
    def _read_here_document(self, document: HereDocument) -> None: ...

    @abstractmethod
    def _add(self, command: Building) -> None: ...

    # Words

    def _read_word(self) -> Word | None:
        start, parts, braces = self.at, list[str](), ""
        literal, quoted, pattern = True, False, False
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in " \t\n;|)" or (character in "<>&" and not self._peek_process()):
                break
            if character == "(":
                break
            if character == "'":
                parts.append(self._read_quoted())
                quoted = True
            elif character == '"':
                self.at += 1
                text, plain = self._read_expanding('"')
                parts.append(text)
                literal &= plain
                quoted = True
            elif character == "\\":
                escaped = self._read_escaped()
                quoted |= bool(escaped)  # a line that goes on quotes nothing
                parts.append(escaped)
            elif character in "$`<>":
                self._read_expansion()
                parts.append("\0")
                literal = False
            else:
                braces += character if character in "{,.}" else " "
                pattern |= character in "*?["
                literal &= not (character == "~" and self._may_be_home(start))
                parts.append(character)
                self.at += 1
        if self.at == start:
            return None
        if "{" in braces and ("," in braces or ".." in braces):
            literal = False
        if self.text.startswith("=", start) and len(parts) > 1:
            literal = False  # zsh puts a program's path there
        if parts == ["["]:
            pattern = False
        return Word(
            text="".join(parts), literal=literal and not pattern, quoted=quoted, pattern=literal and pattern
        )

    def _may_be_home(self, start: int) -> bool:
        return self.at == start or self.text[self.at - 1] in "=:"

    def _read_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise Unparsable("a quote has no end")
        text = self.text[self.at + 1 : end]
        if "\n" in text:
            self._no_waiting("a quote goes on below a here-document's beginning")
        self.at = end + 1
        return text

    def _read_escaped(self) -> str:
        if self.at + 1 >= len(self.text):
            raise Unparsable("a backslash ends it")
        character = self.text[self.at + 1]
        if character == "\n":
            self._no_waiting("a line goes on below a here-document's beginning")
        self.at += 2
        return "" if character == "\n" else character

    def _read_expanding(self, end: str | None) -> tuple[str, bool]:
        """Text up to `end`, which is taken, or up to the text's end; and whether all of it is literal."""
        parts: list[str] = []
        literal = True
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == end:
                self.at += 1
                return "".join(parts), literal
            if character == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                known = following and following in ('$`"\\\n' if end else "$`\\")
                parts.append(self._read_escaped() if known else "\\")
                self.at += 0 if known else 1
            elif character == "`" or (character == "$" and self._expands_at(self.at)):
                self._read_expansion(quoted=True)
                parts.append("\0")
                literal = False
            else:
                if character == "\n":
                    self._no_waiting("a quote goes on below a here-document's beginning")
                parts.append(character)
                self.at += 1
        if end is not None:
            raise Unparsable("a quote has no end")
        return "".join(parts), literal

    def _expands_at(self, at: int) -> bool:
        return bool(re.compile(r"\$[A-Za-z_0-9?#@*!$({\[-]").match(self.text, at))

    def _read_expansion(self, *, quoted: bool = False) -> None:
        """A variable, substitution or plain sum; what it comes to is not known."""
        if self._peek("`"):
            self._read_backticks(quoted=quoted)
        elif self._peek("<(") or self._peek(">("):
            self.at += 2
            self.sequential = False
            self._read_inner_list()
        elif plain := _PLAIN_SUM.match(self.text, self.at) or _PARAMETER.match(self.text, self.at):
            self.at = plain.end()
        elif self._peek("$(("):
            raise Unparsable("arithmetic with names is not read")
        elif self._peek("$("):
            self.at += 2
            self.sequential = False
            self._read_inner_list()
        elif self._peek("${") or self._peek("$["):
            raise Unparsable("an expansion with operators is not read")
        elif self._peek("$'") or self._peek('$"'):
            raise Unparsable("quotes behind a dollar are not read")
        else:
            self.at += 1

    def _read_backticks(self, *, quoted: bool) -> None:
        self._no_waiting("a here-document begins before a substitution")
        self.at += 1
        parts: list[str] = []
        while self.at < len(self.text) and not self._peek("`"):
            if self._peek("\\"):
                following = self.text[self.at + 1 : self.at + 2]
                kept = following not in ("$", "`", "\\", '"' if quoted else "$") or not following
                parts.append(f"\\{following}" if kept else following)
                self.at += 2
            else:
                parts.append(self.text[self.at])
                self.at += 1
        if self.at >= len(self.text):
            raise Unparsable("a backtick has no end")
        self.at += 1
        self.sequential = False
        inner = self._inside("".join(parts))
        inner.read_all()
        self._take_over(inner)

    # Places

    def _inside(self, text: str) -> Self:
        inner = type(self)(text, self._depth + 1)
        inner._deeper(0)
        return inner

    def _take_over(self, inner: WordReader) -> None:
        for each in inner.built:
            self._add(each)

    def _deeper(self, by: int) -> None:
        self._depth += by
        if self._depth > _DEEPEST:
            raise Unparsable("it is nested too deeply")

    def _no_waiting(self, reason: str) -> None:
        if self._waiting:
            raise Unparsable(reason)

    def _keyword(self) -> str:
        """The plain word that begins here, when nothing of it is quoted."""
        found = _KEYWORD.match(self.text, self.at)
        return found[0] if found else ""

    def _peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _peek_process(self) -> bool:
        return self._peek("<(") or self._peek(">(")

    def _skip_blanks(self) -> None:
        while self.at < len(self.text):
            if self.text[self.at] in " \t":
                self.at += 1
            elif self._peek("\\\n"):
                self._no_waiting("a line goes on below a here-document's beginning")
                self.at += 2
            elif self._peek("#") and (self.at == 0 or self.text[self.at - 1] in " \t\n;&|()"):
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def _skip_lines(self) -> None:
        while True:
            self._skip_blanks()
            if not self._peek("\n"):
                return
            self.at += 1
            waiting, self._waiting = self._waiting, []
            for document in waiting:
                self._read_here_document(document)
