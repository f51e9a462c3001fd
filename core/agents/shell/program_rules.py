"""What single programs would do with their words: which files they change, what code they hold. PURE."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

from core.agents.shell.judging import Judging
from core.agents.shell.line import Word
from core.agents.shell.programs import TELLING

_SED = re.compile(
    r"(\d+|\$)?(,(\d+|\$|\+\d+))?([pdq]|s([/|#,])((?!\5)[^\n\\]|\\[^\n])*\5((?!\5)[^\n\\]|\\[^\n])*\5[gpiI\d]*)"
)
_AWK = re.compile(r"""[\w\s$,;{}'".:+*/=!<~%&()\\\[\]^?-]*""")
_AWK_REACHING = re.compile(r"\b(system|getline|close|fflush)\b")
_RECURSIVE = re.compile(r"-[a-zA-Z]*[rR][a-zA-Z]*|--r.*")


def operands(words: Sequence[Word]) -> list[Word]:
    """The words that are no options."""
    found: list[Word] = []
    for at, word in enumerate(words):
        if word.text == "--" and word.literal:
            return [*found, *words[at + 1 :]]
        if not word.text.startswith("-") or word.text == "-":
            found.append(word)
    return found


def _stays(word: Word) -> bool:
    """Whether the word cannot turn into an option."""
    return word.literal or (word.pattern and word.text[0] not in "-*?[")


def _all_written(judge: Judging, name: str, words: Sequence[Word]) -> None:
    whole = name == "rmdir" or (name == "rm" and any(_RECURSIVE.fullmatch(word.text) for word in words))
    judge.writes(operands(words), f"is changed by {name}", whole=whole)


def _folders_made(judge: Judging, name: str, words: Sequence[Word]) -> None:
    judge.writes(operands(words), f"is made by {name}", folder=True)


def _modes(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if any(word.text.startswith("--ref") for word in words):
        judge.asked.append(f"{name} after another file's rights")
        return
    whole = any(_RECURSIVE.fullmatch(word.text) for word in words)
    judge.writes(operands(words)[1:], f"is changed by {name}", whole=whole)


def _copied(judge: Judging, name: str, words: Sequence[Word]) -> None:
    """cp, mv, ln: the last one is written, or a file of the same name below it; mv takes the others away."""
    if any(re.match(r"-[^-]*[tS]|--(t|su)", word.text) or not word.literal for word in words):
        judge.asked.append(f"{name} writes files that its words do not name plainly")
        return
    files = operands(words)
    if name == "mv":
        judge.writes(files[:-1], "is moved away", whole=True)
    if name in ("ln", "link") or any(re.match(r"-[^-]*[ls]|--(l|sy)", word.text) for word in words):
        judge.links(files[:-1] or files, files[-1] if len(files) > 1 else Word(text="."))
    if len(files) == 1 and name == "ln":
        files.append(Word(text="."))
    if len(files) < 2:
        return
    last = files[-1].text
    below = [
        Word(text=posixpath.join(last, posixpath.basename(each.text.rstrip("/")) or "_"))
        for each in files[:-1]
    ]
    if len(files) > 2 or last.endswith(("/", "/.", "/..")) or last in (".", ".."):
        judge.writes(below, f"is written by {name}", whole=True)
    else:
        judge.writes([files[-1], *below], f"is written by {name}")


def _sed(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if any(not _stays(word) for word in words):
        judge.asked.append("sed with words that are only known when it runs")
        return
    plain = [word.text for word in words if word.literal]
    options = [text for text in plain if text.startswith("-")]
    if (
        any(option not in ("-n", "-E", "-r", "-i", "-e", "--") for option in options)
        or options.count("-e") > 1
    ):
        judge.asked.append("sed with an option that is not known")
        return
    files = operands(words)
    if not files or not files[0].literal or not _SED.fullmatch(files[0].text):
        judge.asked.append("sed with a script that may write files or run commands")
    elif "-i" in options:
        judge.writes(files[1:], "is changed by sed")


def _awk(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if not words or words[0].text in ("-f", "--file", "-i", "-l", "-e", "-E"):
        judge.asked.append(f"{name} with a script of a file")
        return
    at = 0
    while at < len(words) and re.fullmatch(r"-[Fv].*", words[at].text):
        at += 1 if len(words[at].text) > 2 else 2
    script = words[at] if at < len(words) else None
    plain = (
        script is not None and all(word.literal for word in words[: at + 1]) and _AWK.fullmatch(script.text)
    )
    if script is None or not plain or _AWK_REACHING.search(script.text) or script.text.startswith("-"):
        judge.asked.append(f"{name} with a script that may write files or run commands")


def _dd(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if not all(word.literal for word in words):
        judge.asked.append("dd with words that are only known when it runs")
        return
    outputs = [word.text[3:] for word in words if word.text.startswith("of=")]
    judge.writes([Word(text=text) for text in outputs], "is written by dd")


def _sort(judge: Judging, name: str, words: Sequence[Word]) -> None:
    """sort and rg: readers, but for options that write a file or start a program."""
    for word in words:
        option = word.text
        writing = (
            re.match(r"-[^-]*[oT]|--(o|c|t|pre|h)", option)
            if name == "sort"
            else re.match(r"--(pre|hostname-bin|search-zip)|-z", option)
        )
        if writing or not _stays(word):
            judge.asked.append(f"{name} with an option that may write files or start programs")
            return


def _make(judge: Judging, name: str, words: Sequence[Word]) -> None:
    """Recipes are left to the sandbox, as scripts are; not those that the words themselves hold."""
    for at, word in enumerate(words):
        text = word.text
        if re.match(r"(--ev|-E|\.?SHELL|MAKEFLAGS)", text) or not _stays(word):
            judge.asked.append(f"{name} with commands among its words")
        elif text in ("-f", "--file", "--makefile") and at + 1 < len(words):
            judge.judge_file(words[at + 1].text, script=True)
        elif text.startswith("-f") or re.match(r"--(make)?file=", text):
            judge.judge_file(text.partition("=")[2] or text[2:], script=True)


def _openssl(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if not words or not words[0].literal or words[0].text.startswith(("s_", "ocsp", "engine")):
        judge.asked.append(f"{name} reaches out to the network, or is not known")


def _page(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if any(word.text.startswith("+") or re.match(r"-[^-]*[oOkT]|--", word.text) for word in words):
        judge.asked.append(f"{name} with words that it may run as commands")


def _second_written(judge: Judging, name: str, words: Sequence[Word]) -> None:
    judge.writes(operands(words)[1:2], f"is written by {name}")


def _exported(judge: Judging, name: str, words: Sequence[Word]) -> None:
    for word in words:
        variable = word.text.partition("=")[0]
        if not re.fullmatch(r"[A-Za-z_]\w*", variable) or "\0" in variable or TELLING.fullmatch(variable):
            judge.asked.append(f"{name} sets what tells programs what to run or where")


def _sourced(judge: Judging, name: str, words: Sequence[Word]) -> None:
    """An environment's own activation is what everybody reads; anything else redefines at will."""
    if (
        len(words) != 1
        or not words[0].literal
        or not re.fullmatch(r"(\./)?\.?venv/bin/activate", words[0].text)
    ):
        judge.asked.append(f"{name} reads commands from a file")
    else:
        judge.judge_file(words[0].text, script=True)


def _tests(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if any(word.text in ("-v", "-R") or (not word.literal and "[" in word.text) for word in words):
        judge.asked.append(f"{name} asks after a variable, which bash may evaluate")


def _printed(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if words and (not words[0].literal or words[0].text.startswith("-")) and words[0].text != "--":
        judge.asked.append(f"{name} that may set a variable")


def _read(judge: Judging, name: str, words: Sequence[Word]) -> None:
    if not all(word.literal and re.fullmatch(r"-?[A-Za-z_]\w*", word.text) for word in words):
        judge.asked.append("read into what is no plain variable")
    for word in words:
        if TELLING.fullmatch(word.text):
            judge.asked.append(f"sets {word.text}, which tells programs what to run or where")


RULES: dict[str, Callable[[Judging, str, Sequence[Word]], None]] = {
    **dict.fromkeys(("rm", "rmdir", "unlink", "shred", "touch", "truncate", "tee", "sponge"), _all_written),
    **dict.fromkeys(("mkdir", "mkfifo"), _folders_made),
    **dict.fromkeys(("chmod", "chown", "chgrp", "setfacl", "chattr"), _modes),
    **dict.fromkeys(("cp", "mv", "ln", "link"), _copied),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _awk),
    **dict.fromkeys(("sort", "rg"), _sort),
    **dict.fromkeys(("uniq", "xxd"), _second_written),
    **dict.fromkeys(("source", "."), _sourced),
    **dict.fromkeys(("test", "["), _tests),
    **dict.fromkeys(("make", "gmake", "bmake"), _make),
    **dict.fromkeys(("less", "more", "most"), _page),
    "openssl": _openssl,
    "sed": _sed,
    "gsed": _sed,
    "dd": _dd,
    "export": _exported,
    "printf": _printed,
    "read": _read,
}
