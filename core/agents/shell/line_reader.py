"""Every simple command of a shell line, with its words, redirections and standard input. PURE.

A strict subset of what POSIX shells, bash and zsh read alike: lists, pipes, subshells, groups, if, while,
for, quotes, substitutions, here-documents. What is outside of it, or read differently by one of the shells,
is refused with a reason, never guessed: `case`, functions, arrays, `[[`, arithmetic with names, `${x@P}`.

Ours, since what there is does not fit: bashlex is GPL-3 and was last changed in 2023, and tree-sitter-bash is
native code whose parser mends what it cannot read, where a check has to refuse it.
The grammar is that of POSIX.1-2024, Shell Command Language, 2.3 (tokens), 2.7 (redirections), 2.10.
"""

from __future__ import annotations

import re

from core.agents.shell.line import (
    Building,
    HereDocument,
    Line,
    Redirection,
    Unparsable,
    Word,
)
from core.agents.shell.word_reader import WordReader

LONGEST = 20_000  # characters of a line; people read longer ones
_MOST = 500  # simple commands

_REDIRECTIONS = ("<<<", "<<-", "&>>", ">>", "<<", ">|", "<>", ">&", "<&", "&>", ">", "<")  # longest first
_ENDS = frozenset({"then", "do", "done", "fi", "else", "elif", "}"})
_UNREAD = frozenset({"case", "esac", "select", "function", "[[", "coproc", "in"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
# Beside tab and line end. \r, NUL, and what looks like a space but is none to a shell.
_STRANGE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]"
)


def parse_line(text: str) -> Line:
    """Raises Unparsable."""
    if len(text) > LONGEST:
        raise Unparsable(f"it has more than {LONGEST} characters")
    if found := _STRANGE.search(text):
        raise Unparsable(f"it has the character U+{ord(found[0]):04X}")
    reader = _Reader(text)
    reader.read_all()
    return Line(commands=tuple(each.command() for each in reader.built), sequential=reader.sequential)


class _Reader(WordReader):
    """Lists, compound commands, simple commands; their words are the other half's."""

    # Lists

    def read_all(self) -> None:
        self._read_list(frozenset())
        if self.at < len(self.text):
            raise Unparsable(f"{self.text[self.at]!r} stands where no command can begin")
        self._no_waiting("a here-document has no text")

    def _read_list(self, ends: frozenset[str]) -> str:
        """Commands up to a word of `ends`, which is taken and returned; "" at the text's end or a `)`."""
        while True:
            self._skip_lines()
            if self.at >= len(self.text) or self._peek(")"):
                return ""
            word = self._keyword()
            if word in _ENDS:
                if word not in ends:
                    raise Unparsable(f"{word!r} stands where no command can begin")
                self.at += len(word)
                return word
            self._read_pipeline()
            self._read_joint()

    def _read_joint(self) -> None:
        self._skip_blanks()
        if self.at >= len(self.text) or self._peek(")"):
            return
        for operator in ("&&", "||", ";;", ";", "&", "\n"):
            if self._peek(operator):
                break
        else:
            raise Unparsable(f"{self.text[self.at]!r} stands where a command has to end")
        if operator == ";;":
            raise Unparsable("';;' outside of case")
        self.sequential &= operator == "&&"
        if operator == "\n":
            return  # _skip_lines takes it, and the here-documents below it
        self.at += len(operator)
        if operator in ("&&", "||"):
            self._skip_lines()
            if self.at >= len(self.text) or self._peek(")"):
                raise Unparsable(f"nothing follows {operator!r}")

    def _read_pipeline(self) -> None:
        piped = False
        while True:
            self._skip_blanks()
            self._read_command(piped)
            self._skip_blanks()
            if not self._peek("|") or self._peek("||"):
                return
            self.at += 2 if self._peek("|&") else 1
            self.sequential = False
            piped = True
            self._skip_lines()

    def _read_command(self, piped: bool) -> None:
        while (word := self._keyword()) in ("!", "time"):
            self.at += len(word)
            self.sequential = False
            self._skip_blanks()
        if word in _UNREAD or word in _ENDS:
            raise Unparsable(f"{word!r} is not read")
        if not self._peek("(") and word not in ("{", "if", "while", "until", "for"):
            self._read_simple(piped)
            return
        self.sequential = False
        first = len(self.built)
        self._deeper(1)
        self._read_compound(word)
        self._deeper(-1)
        after = Building()
        while self._read_redirection(after):
            pass
        fed = piped or any(each.feeds for each in after.redirections)
        for each in self.built[first:]:  # what feeds a group feeds its commands
            each.piped |= fed
        if after.redirections:
            self._add(after)

    def _read_compound(self, word: str) -> None:
        if self._peek("(("):
            raise Unparsable("arithmetic is not read")
        if self._peek("("):
            self.at += 1
            self._read_inner_list()
            return
        self.at += len(word)
        if word == "{":
            self._want("}")
        elif word == "if":
            self._want("then")
            while (end := self._want("elif", "else", "fi")) == "elif":
                self._want("then")
            if end == "else":
                self._want("fi")
        else:
            self._loops += 1
            if word == "for":
                self._read_for()
            else:
                self._want("do")
            self._want("done")
            self._loops -= 1

    def _read_for(self) -> None:
        self._skip_blanks()
        if not (name := _NAME.match(self.text, self.at)):
            raise Unparsable("'for' without a plain name")
        self.at = name.end()
        self._add(Building(assignments=[(name[0], Word(text="", literal=False))]))
        self._skip_blanks()
        if self._keyword() == "in":
            self.at += len("in")
            self._skip_blanks()
            while self._read_word():
                self._skip_blanks()
        if self._peek(";") and not self._peek(";;"):
            self.at += 1
        self._skip_lines()
        if self._keyword() != "do":
            raise Unparsable("'for' without 'do'")
        self.at += len("do")

    def _want(self, *ends: str) -> str:
        if not (end := self._read_list(frozenset(ends))):
            raise Unparsable(f"{' or '.join(ends)} is missing")
        return end

    def _read_inner_list(self) -> None:
        """Commands up to a `)`, which is taken."""
        # Shells differ in which of the two texts the here-document's own begins.
        self._no_waiting("a here-document begins before a list in parentheses")
        self._deeper(1)
        self._read_list(frozenset())
        self._deeper(-1)
        self._no_waiting("a here-document has no text")
        if not self._peek(")"):
            raise Unparsable("')' is missing")
        self.at += 1

    # Simple commands

    def _read_simple(self, piped: bool) -> None:
        command, start = Building(piped=piped), self.at
        while True:
            self._skip_blanks()
            if self._read_redirection(command):
                continue
            begin = self.at
            word = self._read_word()
            if self._peek("("):
                raise Unparsable("'(' after a word: a function, an array or a pattern")
            if word is None:
                break
            assigned = None if command.words else _ASSIGNMENT.match(self.text, begin)
            if assigned:
                value = Word(text=word.text.partition("=")[2], literal=word.literal and not assigned[2])
                command.assignments.append((assigned[1], value))
            else:
                command.words.append(word)
        if self.at == start:
            found = repr(self.text[self.at]) if self.at < len(self.text) else "the end"
            raise Unparsable(f"{found} stands where a command has to begin")
        self._add(command)

    def _add(self, command: Building) -> None:
        if len(self.built) >= _MOST:
            raise Unparsable(f"it has more than {_MOST} commands")
        command.looped = self._loops > 0
        self.built.append(command)

    def _read_redirection(self, command: Building) -> bool:
        self._skip_blanks()
        number = re.compile(r"\d*").match(self.text, self.at)
        at = number.end() if number else self.at
        operator = next((each for each in _REDIRECTIONS if self.text.startswith(each, at)), "")
        if not operator or (operator.startswith("&") and at > self.at):
            return False
        if operator in ("<", ">") and self.text.startswith("(", at + 1):
            return False  # a process substitution is a word
        self.at = at + len(operator)
        self._skip_blanks()
        word = self._read_word()
        if word is None:
            raise Unparsable(f"nothing follows {operator!r}")
        feeds = not (number and number[0].strip("0"))
        if operator in ("<<", "<<-"):
            if not word.literal or "\n" in word.text:
                raise Unparsable("a here-document whose end is not plain")
            self._waiting.append(
                HereDocument(
                    end=word.text,
                    expands=not word.quoted,
                    without_tabs=operator == "<<-",
                    command=command if feeds else Building(),
                )
            )
        redirection = Redirection(
            operator=operator, target=word, number=self.text[at - len(number[0]) : at] if number else ""
        )
        if operator == "<<<" and redirection.feeds:
            command.fed = word
        command.redirections.append(redirection)
        return True

    def _read_here_document(self, document: HereDocument) -> None:
        lines: list[str] = []
        while self.at < len(self.text):
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            line = self.text[self.at : end]
            self.at = min(end + 1, len(self.text))
            line = line.lstrip("\t") if document.without_tabs else line
            if line == document.end:
                break
            lines.append(f"{line}\n")
        else:
            raise Unparsable("a here-document has no end")
        body, literal = "".join(lines), True
        if document.expands:
            if "\\\n" in body:  # joined lines may make the end earlier
                raise Unparsable("a here-document with a backslash at a line's end")
            inner = self._inside(body)
            text, literal = inner._read_expanding(None)
            body = text
            self._take_over(inner)
        document.command.fed = Word(text=body, literal=literal, quoted=True)
