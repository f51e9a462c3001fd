import pytest

from bot.discord.channels import GENERAL, channel_name


@pytest.mark.parametrize(
    ("project", "configured", "name"),
    [
        ("shop", None, "proj-shop"),
        ("my.shop_2", None, "proj-my-shop_2"),
        ("shop", "#my-project-dev", "my-project-dev"),
        ("shop", "My Project", "my-project"),
        ("shop", "#", "proj"),
        ("x", "ä" * 150, "ä" * 100),
        (GENERAL, None, "orchard"),
    ],
)
def test_a_name_is_as_discord_keeps_it(project: str, configured: str | None, name: str) -> None:
    assert channel_name(project, configured) == name
    assert channel_name(project, name) == name
