"""A silent agent's model calls are asked about: held ones are no silence, refused ones are a failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.agents.model_traffic import Traffic, ask
from core.agents.setup import ModelAccess
from core.agents.turn import TurnKind


class Teller:
    """Answers `GET /anthropic/_orchard/run` as the model gateway does, with what `says` gives."""

    def __init__(self, says: Callable[[], Any]) -> None:
        self.says = says
        self.asked: list[bytes] = []
        self.access = ModelAccess(base_url="", token="orch-1", run_id="run-1")

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        told = self.says()
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def telling(says: Callable[[], Any]) -> AsyncIterator[Teller]:
    teller = Teller(says)
    async with await asyncio.start_server(teller.answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        base = f"http://127.0.0.1:{port}/anthropic"
        teller.access = ModelAccess(base_url=base, token="orch-1", run_id="run-1")
        yield teller


async def test_it_asks_with_the_run_s_token() -> None:
    said = {"calls": 7, "refused_in_a_row": 5, "last_refusal": "429", "held": "budget", "held_seconds": 2.5}
    async with telling(lambda: said) as teller:
        found = await ask(teller.access)

    assert found == Traffic(calls=7, refused_in_a_row=5, last_refusal="429", held="budget", held_seconds=2.5)
    assert teller.asked[0].startswith(b"GET /anthropic/_orchard/run HTTP/1.0\r\n")
    assert b"Authorization: Bearer orch-1\r\n" in teller.asked[0]


@pytest.mark.parametrize("said", [b"", b"no", b"[]", b"[" * 50_000, b"x" * 500_000])
async def test_nonsense_is_no_knowledge(said: bytes) -> None:
    async with telling(lambda: said) as teller:
        assert await ask(teller.access) is None
    assert await ask(teller.access) is None  # and nobody there is none either


async def test_odd_values_count_as_none() -> None:
    async with telling(lambda: {"calls": "7", "refused_in_a_row": None, "held": 5}) as teller:
        assert await ask(teller.access) == Traffic()


async def test_a_silent_retry_loop_ends_the_turn_in_one_sentence(stage) -> None:
    said = {"calls": 6, "in_flight": 0, "refused_in_a_row": 6, "last_refusal": "429: overloaded", "held": ""}
    async with telling(lambda: said) as teller:
        agent = stage.replay(stage.steps({"silent": 600}))
        end = await stage.play(agent, stage.turn(stall_seconds=1, model=teller.access))

    assert end.kind is TurnKind.FAILED
    assert end.error == "replay was silent while its model refused 6 calls in a row: 429: overloaded"
    assert end.seconds < 30  # the stall itself would have come after 40


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [("401: invalid api key", TurnKind.BLOCKED), ("You've hit your usage limit", TurnKind.LIMITED)],
)
async def test_what_people_must_mend_is_told_apart(stage, refusal, kind) -> None:
    async with telling(lambda: {"refused_in_a_row": 5, "last_refusal": refusal}) as teller:
        agent = stage.replay(stage.steps({"silent": 600}))
        end = await stage.play(agent, stage.turn(stall_seconds=0.8, model=teller.access))

    assert end.kind is kind


async def test_an_agent_that_waits_in_silence_for_its_provider_s_limit_is_not_waited_for(stage) -> None:
    """Codex does as a provider says that asks to be tried again in five hours."""
    said = {"refused_in_a_row": 1, "last_refusal": "usage limit reached", "stopped": "quota"}
    async with telling(lambda: said) as teller:
        agent = stage.replay(stage.steps({"silent": 600}))
        end = await stage.play(agent, stage.turn(stall_seconds=1, model=teller.access))

    assert end.kind is TurnKind.LIMITED
    assert end.error == "its provider takes no more work: usage limit reached"
    assert end.seconds < 30


async def test_a_held_call_is_no_silence_and_its_time_is_not_the_agent_s(stage) -> None:
    """It would be ended twice over: by the silence, and by the turn's time-out."""
    told: list[float] = []

    async def stalled(seconds: float, _doing: str) -> None:
        told.append(seconds)

    async with telling(lambda: {"calls": 1, "in_flight": 1, "held": "back-off"}) as teller:
        agent = stage.replay(stage.steps({"silent": 10}, {"say": "It went on."}))
        turn = stage.turn(stall_seconds=4, stall_cancel_seconds=6, timeout_seconds=9.5, model=teller.access)
        end = await stage.play(agent, turn, on_stalled=stalled)

    assert end.kind is TurnKind.IDLE, end.error
    assert end.text.endswith("It went on.")
    assert told == []
    assert len(teller.asked) >= 3


async def test_a_call_that_is_under_way_is_said_where_it_lasts_too_long(stage) -> None:
    async with telling(lambda: {"calls": 1, "in_flight": 1}) as teller:
        agent = stage.replay(stage.steps({"silent": 600}))
        turn = stage.turn(stall_seconds=0.8, stall_cancel_seconds=1.6, model=teller.access)
        end = await stage.play(agent, turn)

    assert end.kind is TurnKind.FAILED
    assert "its model has not answered its last call yet" in end.error


async def test_an_agent_that_talks_is_never_asked_about(stage) -> None:
    async with telling(lambda: {"refused_in_a_row": 9}) as teller:
        steps = [{"say": f"word {number}"} for number in range(5)]
        end = await stage.play(stage.replay(stage.steps(*steps)), stage.turn(model=teller.access))

    assert (end.kind, teller.asked) == (TurnKind.IDLE, [])
