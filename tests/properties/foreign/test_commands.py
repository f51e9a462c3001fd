"""A forbidden command, split, quoted, encoded and chained at random, is never let through."""

from __future__ import annotations

import base64
import contextlib
import shlex

from hypothesis import given, settings
from hypothesis import strategies as st

from core.agents.policy import Allow, Deny, ToolRequest, decide
from core.agents.roles import Rights, Role
from core.agents.shell.line import Unparsable
from core.agents.shell.line_reader import parse_line
from core.isolation.plan import Level

RIGHTS = Rights(role=Role.CODE, story_id="demo-1", is_test=lambda path: path.startswith("tests/"))
FORBIDDEN = st.sampled_from(
    [
        "git push origin main",
        "git -c core.fsmonitor=./x status",
        "git config core.hooksPath x",
        "sudo id",
        "rm -rf .git",
        "rm tests/test_a.py",
        "tee tests/test_a.py",
        "cp src/a.py tests/test_a.py",
        "sed -i s/a/b/ tests/test_a.py",
        "chmod 777 .github/workflows",
        "orchard users list",
    ]
)
HARMLESS = st.sampled_from(
    ["ls -la", "true", "pytest -q", "echo 'a;b' \"c\"", "cd src", "git status", "X=1", "cat a | wc -l"]
)


def assert_never_allowed(line: str) -> None:
    for level in (Level.FILESYSTEM, Level.CONTAINER):
        request = ToolRequest(kind="execute", title="t", command=line)
        assert not isinstance(decide(request, RIGHTS, level), Allow), line


@st.composite
def spelled(draw: st.DrawFn, command: str) -> str:
    """The same words in another spelling: quotes, backslashes, continued lines, blanks, variables."""
    words = []
    for word in command.split(" "):
        pieces = []
        for character in word:
            way = draw(st.sampled_from("pppqdbcv"))
            pieces.append(
                {
                    "p": character,
                    "q": f"'{character}'",
                    "d": f'"{character}"',
                    "b": f"\\{character}",
                    "c": f"\\\n{character}",
                    "v": f"{character}''",
                }[way]
            )
        words.append("".join(pieces))
    blank = st.sampled_from([" ", "  ", "\t", " \\\n "])
    line = words[0]
    for word in words[1:]:
        line += draw(blank) + word
    return line


def encoded(command: str) -> list[str]:
    plain = base64.b64encode(command.encode()).decode()
    octal = "".join(f"\\{ord(each):03o}" for each in command)
    return [
        f"echo {plain} | base64 -d | sh",
        f"$(echo {plain} | base64 -d)",
        f"sh -c \"$(printf '{octal}')\"",
        f"eval $'{octal}'",
        f"bash <<< $(echo {plain} | base64 -d)",
        f"printf '{octal}' > x.sh; sh x.sh",
        f"echo {shlex.quote(command)} > x; source ./x",
        f"python3 -c {shlex.quote(f'import os; os.system({command!r})')}",
        f"echo {shlex.quote(command)} | xargs -I% sh -c %",
        f"C={shlex.quote(command)}; $C",
        f"perl -e {shlex.quote(f'system {command!r}')}",
        f"awk {shlex.quote('BEGIN{system(' + chr(34) + command + chr(34) + ')}')}",
    ]


@st.composite
def wrapped(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    line = draw(inner)
    way = draw(st.integers(0, 27))
    other = draw(HARMLESS)
    quoted = shlex.quote(line)
    return [
        f"{other}; {line}",
        f"{line} && {other}",
        f"{other} || {line}",
        f"{other} | {line}",
        f"{other} & {line} &",
        f"{other}\n{line}\n",
        f"({line})",
        f"{{ {line}\n}}",
        f"if {other}; then {other}; else {line}\nfi",
        f"while {line}\ndo {other}; done",
        f"for i in 1 2; do {line}\ndone",
        f'echo "$({line}\n)"',
        f"X=$({line}\n) {other}",
        f"cat <({line}\n)",
        f"sh -c {quoted}",
        f"bash -euc {quoted}",
        f"eval {quoted}",
        f"bash <<'END'\n{line}\nEND\n",
        f"bash <<< {quoted}",
        f"cat <<END\n$({line}\n)\nEND\n",
        f"env A=1 -- sh -c {quoted}",
        f"env A=1 sh -c {quoted}",
        f"nohup timeout 10 sh -c {quoted}",
        f"xargs sh -c {quoted}",
        f"find . -name x -exec sh -c {quoted} \\;",
        f"uv run sh -c {quoted}",
        f"busybox sh -c {quoted}",
        f"! time {line}",
    ][way]


SPELLED = FORBIDDEN.flatmap(spelled)
LINES = st.recursive(SPELLED, wrapped, max_leaves=4)


@given(SPELLED)
def test_no_spelling_makes_a_denial_a_question(line):
    request = ToolRequest(kind="execute", title="t", command=line)

    assert isinstance(decide(request, RIGHTS, Level.FILESYSTEM), Deny)


@given(LINES)
@settings(max_examples=250)
def test_no_spelling_chain_or_nesting_gets_a_forbidden_command_through(line):
    assert_never_allowed(line)


@given(FORBIDDEN.flatmap(lambda command: st.sampled_from(encoded(command))), st.booleans(), HARMLESS)
@settings(max_examples=150)
def test_no_encoding_gets_a_forbidden_command_through(line, before, other):
    assert_never_allowed(f"{other}; {line}" if before else f"{line}\n{other}")


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *"'\"`$(){}<>|&;#\\\n \t*?[]~=!",
                "<<E",
                "\nE\n",
                "$(",
                "${",
                "if ",
                "do ",
                "done",
                "for x in ",
                "sh -c ",
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=40,
).map("".join)


@given(PIECES)
@settings(max_examples=200)
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(Unparsable):  # and nothing else
        parse_line(text)
    decide(ToolRequest(kind="execute", title="t", command=text), RIGHTS, Level.FILESYSTEM)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="\u200b"), max_size=12),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=100)
def test_quoted_words_come_back_as_they_were(words):
    (command,) = parse_line(shlex.join(["echo", *words])).commands

    assert [word.text for word in command.words[1:]] == words
    assert all(word.literal for word in command.words)
