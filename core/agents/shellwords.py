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
from dataclasses import dataclass, field

LONGEST = 20_000  # characters of a line; people read longer ones
_DEEPEST = 12
_MOST = 500  # simple commands

_REDIRECTIONS = ("<<<", "<<-", "&>>", ">>", "<<", ">|", "<>", ">&", "<&", "&>", ">", "<")  # longest first
_WRITING = frozenset({"&>>", ">>", ">|", "<>", ">&", "&>", ">"})
_ENDS = frozenset({"then", "do", "done", "fi", "else", "elif", "}"})
_UNREAD = frozenset({"case", "esac", "select", "function", "[[", "coproc", "in"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORD = re.compile(r"(?:[a-z]+|[!{}]|\[\[)(?=[\s;&|<>()]|$)")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_PARAMETER = re.compile(
    r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9?#@*!$-]|\{(?:[A-Za-z_][A-Za-z0-9_]*|[0-9?#@*!$-])\})"
)
_PLAIN_SUM = re.compile(r"\$\(\([0-9 +*/%()-]*\)\)")
# Beside tab and line end. \r, NUL, and what looks like a space but is none to a shell.
_STRANGE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]"
)


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


def parse_line(text: str) -> Line:
    """Raises Unparsable."""
    if len(text) > LONGEST:
        raise Unparsable(f"it has more than {LONGEST} characters")
    if found := _STRANGE.search(text):
        raise Unparsable(f"it has the character U+{ord(found[0]):04X}")
    reader = _Reader(text)
    reader.read_all()
    return Line(commands=tuple(each.command() for each in reader.built), sequential=reader.sequential)


@dataclass(slots=True)
class _Building:
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
class _HereDocument:
    end: str
    expands: bool
    without_tabs: bool
    command: _Building


class _Reader:
    """`built` grows by each command; one reader a text, and one more for each text inside of it."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self.text = text
        self.at = 0
        self.built: list[_Building] = []
        self.sequential = True
        self._waiting: list[_HereDocument] = []
        self._depth = depth
        self._loops = 0

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
        after = _Building()
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
        self._add(_Building(assignments=[(name[0], Word(text="", literal=False))]))
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
        command, start = _Building(piped=piped), self.at
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

    def _add(self, command: _Building) -> None:
        if len(self.built) >= _MOST:
            raise Unparsable(f"it has more than {_MOST} commands")
        command.looped = self._loops > 0
        self.built.append(command)

    def _read_redirection(self, command: _Building) -> bool:
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
                _HereDocument(
                    end=word.text,
                    expands=not word.quoted,
                    without_tabs=operator == "<<-",
                    command=command if feeds else _Building(),
                )
            )
        redirection = Redirection(
            operator=operator, target=word, number=self.text[at - len(number[0]) : at] if number else ""
        )
        if operator == "<<<" and redirection.feeds:
            command.fed = word
        command.redirections.append(redirection)
        return True

    def _read_here_document(self, document: _HereDocument) -> None:
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

    def _inside(self, text: str) -> _Reader:
        inner = _Reader(text, self._depth + 1)
        inner._deeper(0)
        return inner

    def _take_over(self, inner: _Reader) -> None:
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
