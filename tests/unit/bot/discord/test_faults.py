from types import SimpleNamespace

import aiohttp
import discord
import pytest

from bot.discord.faults import Remedy, judge


def answer(
    status: int, code: int = 0, kind: type[discord.HTTPException] = discord.HTTPException
) -> Exception:
    return kind(SimpleNamespace(status=status, reason="r"), {"code": code, "message": "m"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "attempts", "remedy"),
    [
        (answer(500), 0, Remedy.RETRY),
        (answer(503), 500, Remedy.RETRY),
        (answer(429), 3, Remedy.RETRY),
        (answer(401), 3, Remedy.RETRY),
        (discord.RateLimited(42.0), 9, Remedy.RETRY),
        (aiohttp.ServerDisconnectedError(), 99, Remedy.RETRY),
        (TimeoutError(), 99, Remedy.RETRY),
        (RuntimeError("Session is closed"), 99, Remedy.RETRY),
        (answer(404, 10003, discord.NotFound), 0, Remedy.REMAKE),
        (answer(404, 10003, discord.NotFound), 4, Remedy.DEAD),
        (answer(403, 50013, discord.Forbidden), 0, Remedy.RETRY),
        (answer(403, 50013, discord.Forbidden), 5, Remedy.DEAD),
        (answer(400, 30013), 0, Remedy.RETRY),
        (answer(400, 50035), 0, Remedy.PLAIN),
        (answer(400, 50035), 1, Remedy.DEAD),
        (KeyError("bug"), 0, Remedy.RETRY),
        (KeyError("bug"), 4, Remedy.DEAD),
    ],
)
def test_each_fault_has_its_remedy(error: Exception, attempts: int, remedy: Remedy) -> None:
    assert judge(error, attempts).remedy is remedy


def test_a_rate_limit_says_itself_how_long() -> None:
    assert judge(discord.RateLimited(42.0), 0).pause_seconds == 42.0


def test_pauses_grow_and_stay_bounded() -> None:
    pauses = [judge(answer(500), attempts).pause_seconds for attempts in range(2000)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == 300


def test_only_a_bug_of_ours_is_unforeseen() -> None:
    assert not judge(KeyError("bug"), 0).foreseen
    assert judge(answer(500), 0).foreseen
