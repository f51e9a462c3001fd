import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.discord.endpoint import endpoint, rest_base
from core.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:80/api/v10", "http://127.0.0.1/api/v10"),
        ("http://127.0.0.1:8123/api/v10/", "http://127.0.0.1:8123/api/v10"),
        ("http://127.0.0.1:8123/api", "http://127.0.0.1:8123/api/v10"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123/api/v10"),
        ("https://x.example/proxy/discord/api", "https://x.example/proxy/discord/api/v10"),
    ],
)
def test_an_address_is_completed(given: str, used: str) -> None:
    assert rest_base(given) == used


@pytest.mark.parametrize("bad", ["", "discord.com", "ftp://x", "http://", "ws://x"])
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput):
        rest_base(bad)


def test_discord_py_is_pointed_there_and_back() -> None:
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    with endpoint("http://127.0.0.1:1/api", "ws://127.0.0.1:2/"):
        assert Route("GET", "/users/@me").url == "http://127.0.0.1:1/api/v10/users/@me"
        assert str(DiscordWebSocket.DEFAULT_GATEWAY) == "ws://127.0.0.1:2/"
    assert before == (Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY)


def test_without_addresses_it_is_discord_itself() -> None:
    with endpoint(None, None):
        assert Route.BASE == "https://discord.com/api/v10"
