"""What an interpreter would run: a script, a module, or code in its own words, which needs a person. PURE."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.agents.shell.judging import Judging
from core.agents.shell.line import Word

INTERPRETER = re.compile(
    r"(python|pypy|perl|ruby|node|nodejs|bun|deno|php|lua|luajit|tclsh|Rscript|osascript|pwsh|powershell|guile|ghci|"
    r"irb|jshell|groovy|scala|elixir|swift|octave|sqlite|gdb|m4|dc)[\d.]*",
    re.IGNORECASE,
)
_PLAIN_OPTIONS = frozenset({"--version", "--help", "--test", "--check", "--watch", "--no-warnings"})
_PLAIN_OF_OTHERS = _PLAIN_OPTIONS | frozenset({"-v", "--enable-source-maps"})
_PLAIN_OF_PYTHON = _PLAIN_OPTIONS | frozenset({"-V", "-u", "-B", "-s", "-I", "-E", "-S", "-O", "-OO", "-q"})
_VALUED_OF_PYTHON = frozenset({"-W", "-X"})
_RUNNING_MODULES = frozenset(
    {
        "code", "pdb", "cProfile", "profile", "trace", "timeit", "runpy", "idlelib",
        "http", "tarfile", "zipfile",
    }
)  # fmt: skip
_SQL = re.compile(r"\s*(select|explain|pragma|with)\b.*|\.(tables|schema|indexes|dump)( \w+)?", re.I | re.S)
_REACHING_SQL = re.compile(r"\b(writefile|readfile|edit|load_extension)\b", re.I)


def judge_interpreter(judge: Judging, name: str, words: Sequence[Word]) -> None:
    """`words` are those after the interpreter's name. Adds reasons to `judge`."""
    if not words:
        judge.asked.append(f"{name} runs what it reads, which is not known")
        return
    if name in ("deno", "bun") and words[0].text in ("eval", "repl", "exec", "x", "create"):
        judge.asked.append(f"{name} {words[0].text} runs what its words say")
        return
    if name.startswith("sqlite") and not all(_looks_only(word) for word in words[1:]):
        judge.asked.append(f"{name} with commands among its words")
        return
    python = name.startswith(("python", "pypy"))
    takes = _VALUED_OF_PYTHON if python else frozenset[str]()
    plain = _PLAIN_OF_PYTHON if python else _PLAIN_OF_OTHERS
    rest = list(words)
    while rest and rest[0].literal and rest[0].text in plain | takes:
        ends = rest[0].text in ("--version", "-V", "--help", "--test", "-v")
        del rest[: 2 if rest[0].text in takes else 1]
        if ends and not rest:
            return
    if rest and rest[0].literal and rest[0].text == "-m" and python:
        module = rest[1] if len(rest) > 1 else Word(text="", literal=False)
        if not module.literal or module.text.partition(".")[0] in _RUNNING_MODULES:
            judge.asked.append(f"{name} -m with a module that runs what it is given")
    elif not rest or not rest[0].literal or rest[0].text.startswith("-"):
        judge.asked.append(f"{name} with code among its words, or with an option that is not known")
    else:
        judge.judge_script(rest[0])
        if "shell" in [word.text for word in rest[1:2]]:  # Django's, Flask's: code in a word, or read
            judge.asked.append(f"{name} {rest[0].text[:40]} shell runs what it is given")


def _looks_only(word: Word) -> bool:
    """Of sqlite3's words: a query, or a command that shows something."""
    if not word.literal or not _SQL.fullmatch(word.text):
        return word.literal and word.text in ("-header", "-json", "-csv", "-line", "-column", "-readonly")
    return "\n." not in word.text and not _REACHING_SQL.search(word.text)
