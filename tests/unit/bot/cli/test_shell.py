"""What the shell answers, with the real store and real checkouts; nothing runs."""

from __future__ import annotations

import pytest

from bot.cli.session import open_session
from bot.cli.shell import Shell, split
from bot.cli.topics import COMMANDS
from core.errors import InvalidInput, NotAllowed, NotFound, OrchardError, Unavailable


@pytest.fixture
async def shop(say, checkout, tmp_path):
    await say(f"register shop {checkout(tmp_path / 'shop')}")
    return say


async def test_help_lists_what_the_first_documentation_lists(say):
    text = await say("help")
    assert text.startswith("Available commands:\n  help ")
    documented = {
        "help": "Show this help message",
        "status [component]": "Show system status",
        "projects": "List all projects",
        "register <name> <path>": "Register a new project",
        "discover <paths...>": "Discover and register projects",
        "start <project>": "Start a project orchestrator",
        "stop <project>": "Stop a project orchestrator",
        "optimize [look] [strategy]": "Run resource optimization",
        "insights": "Show cross-project insights",
        "exit/quit": "Exit the shell",
    }
    lines = {line.strip().split("  ")[0].split(" - ")[0].strip(): line for line in text.splitlines()}
    for form, purpose in documented.items():
        assert f"- {purpose}" in lines[form]


async def test_a_project_is_registered_started_and_stopped(shop):
    assert "⚪ shop (🟡 normal)" in await shop("projects")
    assert "✓ shop is active." in await shop("start shop")
    assert "Nothing runs now" in await shop("START Shop")
    assert "Active: 1" in await shop("status")
    assert "✓ shop is paused" in await shop("stop shop")


async def test_discover_registers_what_it_finds(say, checkout, tmp_path):
    checkout(tmp_path / "work" / "one")
    checkout(tmp_path / "work" / "two")
    (tmp_path / "work" / "three").mkdir()
    (tmp_path / "work" / "three" / "setup.py").write_text("")
    text = await say(f"discover {tmp_path / 'work'}")
    assert "one (registered now as one)" in text
    assert "two (registered now as two)" in text
    assert "three is not a git repository" in text
    assert (await say("projects")).count("Path:") == 2


async def test_a_backlog_becomes_a_sprint(shop):
    assert "✓ shop-1: The customer's name" in await shop("add shop The customer's name")
    assert "✓ shop-2: Pay by card" in await shop('add shop "Pay by card"')
    assert "✓ Sprint 1 of shop: 1 story." in await shop("plan shop shop-2")
    with pytest.raises(NotAllowed):
        await shop("sprint shop")
    await shop("start shop")
    report = await shop("sprint shop")
    assert "SPRINT_ACTIVE" in report
    assert (
        report.index("Sprint 1") < report.index("shop-2") < report.index("Backlog") < report.index("shop-1")
    )
    assert "shop is SPRINT_PAUSED" in await shop("pause shop")
    assert "shop is SPRINT_ACTIVE" in await shop("resume shop")
    assert "shop-2: Pay by card" in await shop("story shop-2")
    with pytest.raises(NotAllowed, match="not blocked"):
        await shop("fix shop-2 try harder")
    assert "shop-2 is skipped" in await shop("skip shop-2 not now")
    assert "shop is BACKLOG_READY" in await shop("feedback shop Fine so far.")


async def test_nothing_waits_at_first(shop):
    assert "Nothing waits for an answer." in await shop("approvals")
    for line in ("approve x", "show x", "reject x because"):
        with pytest.raises(NotFound):
            await shop(line)


@pytest.mark.parametrize("line", ["insights"])
async def test_what_comes_later_says_so(say, line):
    with pytest.raises(Unavailable, match="not there yet"):
        await say(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bogus", "There is no command 'bogus'. help shows them all."),
        ("stat", "There is no command 'stat'. Did you mean status? help shows them all."),
        ("register shop", "Something is missing. Use: register <name> <path>"),
        ("register shop a b", "'b' is too much. Use: register <name> <path>."),
        ("discover", "Something is missing. Use: discover <paths...>"),
        ("reject x", "Something is missing. Use: reject <approval> <reason...>"),
        ("projects all", "'all' is too much."),
        ('add shop "Pay', "A quote is opened and not closed."),
    ],
)
async def test_a_line_that_does_not_fit_says_what_would(say, line, expected):
    with pytest.raises(InvalidInput) as refused:
        await say(line)
    assert str(refused.value).startswith(expected)


async def test_an_empty_line_says_nothing(shell):
    assert await shell.answer("   ") is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("add shop the customer's name", ["add", "shop", "the", "customer's", "name"]),
        ("add shop 'two words'", ["add", "shop", "two words"]),
        ('add shop "two words" # 3', ["add", "shop", "two words", "#", "3"]),
        (r"register a /srv/my\ shop", ["register", "a", "/srv/my shop"]),
        ("   ", []),
    ],
)
def test_words_are_split_as_in_a_shell_but_for_apostrophes(line, words):
    assert split(line) == words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ["help", *COMMANDS, "exit", "quit"]),
        ("sta", ["help", *COMMANDS, "exit", "quit"]),
        ("start ", ["bank", "shop"]),
        ("start shop ", []),
        ("status  sh", ["bank", "shop"]),
        ("plan shop ", ["shop-1"]),
        ("plan shop shop-1 ", ["shop-1"]),
        ("skip ", ["shop-1"]),
        ("approve ", ["bank", "shop"]),
        ("help ", [*COMMANDS]),
        ("bogus ", []),
        ("register x ", []),  # a path: the terminal completes it
    ],
)
async def test_completion_offers_what_is_there(shop, shell, checkout, tmp_path, line, expected):
    await shop(f"register bank {checkout(tmp_path / 'bank')}")
    await shop("add shop Pay")
    assert sorted(await shell.choices(line)) == sorted(expected)


@pytest.mark.parametrize(
    ("line", "is_path"),
    [
        ("register x /s", True),
        ("register x", False),
        ("discover ", True),
        ("discover a b", True),
        ("", False),
    ],
)
def test_completion_knows_where_paths_stand(line, is_path):
    assert Shell.completes_path(line) is is_path


async def test_each_line_sees_what_another_program_did(shop, checkout, tmp_path):
    async with open_session(tmp_path) as other:
        await other.commands.register_project("bank", checkout(tmp_path / "bank"), actor="cli")
    assert "bank" in await shop("projects")


async def test_a_configuration_that_went_bad_is_told_and_the_shell_goes_on(shop, tmp_path):
    (tmp_path / "orch-config.yaml").write_text("colour: red\n")
    with pytest.raises(OrchardError, match="colour"):
        await shop("projects")
    (tmp_path / "orch-config.yaml").unlink()
    assert "shop" in await shop("projects")
