"""The page of slash commands is what the bot has."""

from tests.architecture.commands_page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.architecture.commands_page"
