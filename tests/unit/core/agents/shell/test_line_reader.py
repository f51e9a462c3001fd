from __future__ import annotations

import pytest

from core.agents.shell.line import Unparsable
from core.agents.shell.line_reader import parse_line


def words(text: str) -> list[list[str]]:
    return [[word.text for word in command.words] for command in parse_line(text).commands]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a b; c | d && e || f & g\nh", [["a", "b"], ["c"], ["d"], ["e"], ["f"], ["g"], ["h"]]),
        ("(a; { b; }) && ! c", [["a"], ["b"], ["c"]]),
        ("if a; then b; elif c; then d; else e; fi", [["a"], ["b"], ["c"], ["d"], ["e"]]),
        ("while a; do b; done; until c; do d; done", [["a"], ["b"], ["c"], ["d"]]),
        ("for x in 1 2; do a $x; done", [[], ["a", "\0"]]),
        ('a $(b `c`) "$(d)" <(e)', [["c"], ["b", "\0"], ["d"], ["e"], ["a", "\0", "\0", "\0"]]),
        ("g''i\"t\" p\\us\\\nh", [["git", "push"]]),
        ("echo a#b # c; d\ne", [["echo", "a#b"], ["e"]]),
        ("X=1 Y=$(a) b 2>&1 >c", [["a"], ["b"]]),
        ("cat <<E <<'F'\n$(a)\nE\n$(b)\nF\nc", [["cat"], ["a"], ["c"]]),
        ("cat <<-E\n\tx\n\tE\nb", [["cat"], ["b"]]),
        ("echo $((1 + 2)) $x ${y} $? $!", [["echo", "\0", "\0", "\0", "\0", "\0"]]),
        ("echo '$(a)' \"\\$(b)\" \\`c\\`", [["echo", "$(a)", "$(b)", "`c`"]]),
        ("", []),
        ("# nothing", []),
    ],
)
def test_every_simple_command_is_found(line, expected):
    assert words(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "a 'b",
        'a "b',
        "a `b",
        "a $(b",
        "a)",
        "(a",
        "{ a",
        "if a; then b",
        "a &&",
        "| a",
        "a ;; b",
        "a\\",
        "f() { a; }",
        "function f { a; }",
        "case x in y) a;; esac",
        "select x in y; do a; done",
        "[[ -f x ]]",
        "((x))",
        "x=(a b)",
        "echo $((x))",
        "echo $[x]",
        "${x:-$(a)}",
        "${x@P}",
        "$'a'",
        '$"a"',
        "coproc a",
        "cat <<E\nx",
        "cat <<E; $(a\nE\n)",
        "cat <<E '\nE\n'",
        "cat <<E\na\\\nE\nE",
        "cat <<$x\n$x",
        "a >",
        "a\rb",
        "a\x00b",
        "a\u00a0b",
        "a\u200bb",
        "then a",
        "do a",
        "}",
        "ls @(a|b)",
        "a" * 20_001,
        "a;" * 501,
        "(" * 30 + "a" + ")" * 30,
        "`" * 3,
        "for 1 in a; do b; done",
        "for x in a; b; done",
    ],
)
def test_what_shells_may_read_otherwise_is_refused(line):
    with pytest.raises(Unparsable) as refused:
        parse_line(line)
    assert str(refused.value)


@pytest.mark.parametrize(
    ("word", "literal"),
    [
        ("a*", False),
        ("'a*'", True),
        ("~/x", False),
        ("a~", True),
        ("{a,b}", False),
        ("{}", True),
        ("@{1}", True),
        ("a?b", False),
        ("[x]", False),
        ("\\*", True),
        ('"$"', True),
        ("=ls", False),
        ("a=b", True),
        ("{1..3}", False),
    ],
)
def test_a_word_says_whether_it_is_known(word, literal):
    assert parse_line(f"echo {word}").commands[-1].words[1].literal is literal


@pytest.mark.parametrize(
    ("line", "writes"),
    [
        ("a >f", ["f"]),
        ("a 2>>f", ["f"]),
        ("a &>f", ["f"]),
        ("a >&f", ["f"]),
        ("a >|f", ["f"]),
        ("a <>f", ["f"]),
        ("a 2>&1", []),
        ("a >&-", []),
        ("a <f", []),
        ("{ a; } >f", ["f"]),
        ("(a) >f", ["f"]),
        ("if a; then b; fi >f", ["f"]),
    ],
)
def test_redirections_are_found_wherever_they_stand(line, writes):
    found = [
        each.target.text
        for command in parse_line(line).commands
        for each in command.redirections
        if each.writes
    ]

    assert found == writes


def test_only_the_standard_inputs_document_feeds_a_command():
    assert parse_line("sh <<'E'\nls\nE").commands[0].fed.text == "ls\n"
    assert parse_line("sh 0<<'E'\nls\nE").commands[0].fed.text == "ls\n"
    assert parse_line("sh 3<<'E'\nls\nE").commands[0].fed is None
    assert not parse_line("sh <<E\n$(ls)\nE").commands[0].fed.literal


def test_what_feeds_a_group_feeds_its_commands():
    assert [command.piped for command in parse_line("a | { b; (c); }").commands] == [False, True, True]
    assert parse_line("{ a; } <f").commands[0].piped
