"""What a git command would do, against a role's rights. PURE.

Orchard commits, merges and publishes; an agent looks at history, and may stage and commit on its own branch.
Settings given in the words or the environment can name programs that git starts, so nearly all are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.agents.shell.judging import Judging
from core.agents.shell.line import Word

_LOOKING = frozenset(
    word
    for line in (
        "status diff log show ls-files ls-tree blame annotate grep rev-parse rev-list describe shortlog",
        "cat-file merge-base diff-tree diff-index name-rev show-ref for-each-ref check-ignore check-attr",
        "count-objects version help var whatchanged cherry range-diff show-branch add commit",
    )
    for word in line.split()
)
_DENIED = {
    name: reason
    for reason, names in (
        ("publishes, which is Orchard's", "push send-pack request-pull send-email svn http-push"),
        (
            "changes the repository's settings or structure",
            "config remote submodule worktree update-ref symbolic-ref filter-branch filter-repo replace gc "
            "prune reflog maintenance init clone credential credential-store hook daemon lfs update-index "
            "pack-refs",
        ),
    )
    for name in names.split()
}
_SAFE_SETTINGS = re.compile(
    r"(user\.(name|email)|color\.\w+|core\.(quotepath|abbrev|autocrlf)|advice\.\w+|commit\.gpgsign)=.*"
    r"|core\.pager=(cat)?",
    re.IGNORECASE,
)
_PLAIN_GLOBALS = frozenset(
    {"-P", "--no-pager", "--no-optional-locks", "--literal-pathspecs", "--version", "--help"}
)
# Git takes any beginning of a long option that fits one only.
_REACHING = ("--output", "--open-files-in-pager", "--ext-diff", "--textconv", "--upload-pack", "--exec",
             "--receive-pack", "--no-verify", "--template", "--git-dir", "--filters",
             "--no-index")  # fmt: skip


def judge_git(judge: Judging, words: Sequence[Word]) -> None:
    """`words` are those after `git`. Adds reasons to `judge`."""
    at = 0
    while at < len(words) and words[at].literal and words[at].text.startswith("-"):
        option = words[at].text
        at += 1
        if option == "-c" and at < len(words) and words[at].literal:
            setting = words[at].text
            at += 1
            if not _SAFE_SETTINGS.fullmatch(setting):
                judge.denied.append(f"git -c {setting[:60]} changes what git runs or where")
        elif option == "-C" and at < len(words) and words[at].literal and _is_inside(words[at].text):
            at += 1
        elif option not in _PLAIN_GLOBALS:
            judge.denied.append(f"git {option[:60]} changes what git runs or where")
            return
    if at == len(words):
        return
    if not words[at].literal:
        judge.asked.append("git with a command that is only known when it runs")
        return
    _judge_command(judge, words[at].text.lower(), words[at + 1 :], moved=at > 0)


def _judge_command(judge: Judging, name: str, words: Sequence[Word], *, moved: bool) -> None:
    if name in _DENIED:
        judge.denied.append(f"git {name} {_DENIED[name]}")
        return
    if name in ("rm", "mv") and not moved:
        files = [word for word in words if not word.text.startswith("-")]
        judge.writes(files, f"is changed by git {name}", whole=True)
        return
    if name in ("branch", "tag") and _only_lists(words):
        return
    listed = name == "stash" and bool(words) and words[0].literal and words[0].text in ("list", "show")
    if name not in _LOOKING and not listed:
        judge.asked.append(f"git {name[:40]} may change files or history beyond the role's rights")
        return
    for word in words:
        if word.literal and word.text == "--":
            return
        if _may_reach(word, name):
            judge.asked.append(f"git {name} with {_shown(word)}, which may write files or start programs")
            return


def _may_reach(word: Word, name: str) -> bool:
    """Whether the word may be an option that opens a file or starts a program."""
    text = word.text
    if not word.literal:
        # Whatever file `git add` finds there: no option of its own does more than adding.
        return not (word.pattern and (text[0] not in "-*?[" or name == "add"))
    if text.startswith("--"):
        option = text.partition("=")[0]
        return len(option) > 2 and any(each.startswith(option) for each in _REACHING)
    if name == "grep":
        return text.startswith("-") and "O" in text
    return name == "commit" and re.fullmatch(r"-[a-zA-Z]*n[a-zA-Z]*", text) is not None


def _only_lists(words: Sequence[Word]) -> bool:
    listing = {"-a", "-r", "-v", "-vv", "--list", "-l", "--show-current", "--all", "--remotes"}
    return all(word.text in listing for word in words)


def _is_inside(path: str) -> bool:
    return not path.startswith(("/", "~")) and ".." not in path.split("/")


def _shown(word: Word) -> str:
    return repr(word.text[:40]) if word.literal else "a word that is only known when it runs"
