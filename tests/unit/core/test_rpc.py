from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents.setup import AgentSetup
from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.errors import LostRace, OrchardError
from core.rpc import (
    CANCELLED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Peer,
    PeerGone,
    RpcError,
    decode,
    encode,
)
from core.worker.contract import PhaseJob, ProjectSetup, Salvage
from core.worker.gitcommand import GitFailed
from tests.waiting import SECONDS


@dataclass
class Pair:
    """Two ends of one conversation; `raw` writes to `here` as the other end could."""

    here: Peer
    there: Peer
    raw: asyncio.StreamWriter
    heard: asyncio.StreamReader
    tasks: list[asyncio.Task[None]]

    async def hang_up(self) -> None:
        self.raw.close()
        await asyncio.wait_for(asyncio.gather(*self.tasks), SECONDS)


async def _echo(params: dict[str, Any]) -> dict[str, Any]:
    return params


async def _wait(params: dict[str, Any]) -> None:
    await asyncio.sleep(3600)


async def _lose(params: dict[str, Any]) -> None:
    raise LostRace("the row moved on", why="another came first", hint="try again")


async def _git(params: dict[str, Any]) -> None:
    raise GitFailed("git is not installed.", hint="Install it.", exit_code=3)


async def _crash(params: dict[str, Any]) -> None:
    raise KeyError("oops")


async def _unsayable(params: dict[str, Any]) -> Any:
    return {"x": object()}


async def _odd_name(params: dict[str, Any]) -> Salvage:
    return Salvage(story_id="s-1", ref="r", files=(os.fsdecode(b"a\xff"), "\U0001f333"))


HANDLERS: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
    "echo": _echo,
    "wait": _wait,
    "lose": _lose,
    "git": _git,
    "crash": _crash,
    "unsayable": _unsayable,
    "odd_name": _odd_name,
}


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one, limit=1 << 16)
    far_reader, far_writer = await asyncio.open_connection(sock=other, limit=1 << 16)
    here, there = Peer(reader, writer, HANDLERS), Peer(far_reader, far_writer, HANDLERS)
    tasks = [asyncio.create_task(here.run()), asyncio.create_task(there.run())]
    made = Pair(here, there, far_writer, far_reader, tasks)
    yield made
    await made.hang_up()
    writer.close()


async def test_both_sides_call_each_other_while_their_own_calls_are_open(pair: Pair) -> None:
    waiting = asyncio.create_task(pair.here.call("wait"))
    answers = await asyncio.gather(
        *(pair.here.call("echo", {"n": n}) for n in range(50)),
        *(pair.there.call("echo", {"n": n}) for n in range(50)),
    )
    assert answers == [{"n": n} for n in range(50)] * 2
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize(
    ("method", "kind"), [("lose", LostRace), ("git", GitFailed)], ids=["plain", "with more arguments"]
)
async def test_an_orchard_error_arrives_as_what_it_was(
    pair: Pair, method: str, kind: type[OrchardError]
) -> None:
    with pytest.raises(kind) as caught:
        await pair.here.call(method)
    assert caught.value.message
    assert caught.value.hint


async def test_other_failures_arrive_with_a_code_and_end_nothing(pair: Pair) -> None:
    for method, code in (
        ("crash", INTERNAL_ERROR),
        ("no_such", METHOD_NOT_FOUND),
        ("unsayable", INTERNAL_ERROR),
    ):
        with pytest.raises(RpcError) as caught:
            await pair.here.call(method)
        assert caught.value.code == code
    assert await pair.here.call("echo", {"still": "there"}) == {"still": "there"}


async def test_a_late_answer_is_dropped(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        await pair.here.call("wait", timeout=0.01)
    assert await pair.here.call("echo", {"x": 1}, SECONDS) == {"x": 1}


async def test_open_calls_fail_when_the_other_side_goes(pair: Pair) -> None:
    call = asyncio.create_task(pair.here.call("wait"))
    await pair.here.call("echo")
    await pair.hang_up()
    with pytest.raises(PeerGone):
        await call
    with pytest.raises(PeerGone):
        await pair.here.call("echo")
    with pytest.raises(PeerGone):
        await pair.here.notify("echo")
    assert pair.here.ended.is_set()


async def test_names_that_are_no_unicode_still_travel(pair: Pair) -> None:
    salvage = await pair.here.request(Salvage, "odd_name")
    assert salvage.files == ("a?", "\U0001f333")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json", PARSE_ERROR),
        (b"\xff\xfe", PARSE_ERROR),
        (b"[" * 100_000, PARSE_ERROR),
        (b"x" * 200_000, PARSE_ERROR),
        (b"[1, 2]", INVALID_REQUEST),
        (b"{}", INVALID_REQUEST),
        (b'{"id": 7, "method": 3}', INVALID_REQUEST),
        (b'{"id": 7, "method": "echo", "params": [1]}', INVALID_PARAMS),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_bad_line_is_answered_and_the_next_one_works(line: bytes, code: int) -> None:
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one, limit=1 << 16)
    far_reader, far_writer = await asyncio.open_connection(sock=other)
    task = asyncio.create_task(Peer(reader, writer, HANDLERS).run())
    far_writer.write(line + b'\n{"jsonrpc": "2.0", "id": 9, "method": "echo", "params": {"a": 1}}\n')
    answers = []
    while not answers or answers[-1].get("id") != 9:
        answers.append(json.loads(await asyncio.wait_for(far_reader.readline(), SECONDS)))
    assert answers[0]["error"]["code"] == code
    assert answers[-1]["result"] == {"a": 1}
    far_writer.close()
    await asyncio.wait_for(task, SECONDS)
    writer.close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": 1, "result": 1}',
        b'{"id": null, "error": "x"}',
        b'{"id": [1], "error": {}}',
        b'{"id": {"a": 1}, "result": null}',
        b'{"method": "no_such"}',
        b'{"method": "crash"}',
        b"",
    ],
)
async def test_answers_to_nothing_and_bad_notifications_are_not_answered(pair: Pair, line: bytes) -> None:
    pair.raw.write(line + b"\n")
    assert await pair.there.call("echo", {"x": 1}, SECONDS) == {"x": 1}


@pytest.mark.parametrize("error", [b'"text"', b"{}", b'{"code": "x", "message": 3}', b"null"])
async def test_an_odd_error_is_an_rpc_error(error: bytes) -> None:
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one)
    far_reader, far_writer = await asyncio.open_connection(sock=other)
    peer = Peer(reader, writer)
    task = asyncio.create_task(peer.run())
    call = asyncio.create_task(peer.call("x"))
    number = json.loads(await far_reader.readline())["id"]
    far_writer.write(b'{"id": %d, "error": %b}\n' % (number, error))
    with pytest.raises(RpcError):
        await asyncio.wait_for(call, SECONDS)
    far_writer.close()
    await asyncio.wait_for(task, SECONDS)
    writer.close()


async def test_a_handler_that_is_cancelled_answers_so(pair: Pair) -> None:
    async def give_up(params: dict[str, Any]) -> None:
        raise asyncio.CancelledError

    pair.there._handlers = {"give_up": give_up}
    with pytest.raises(RpcError) as caught:
        await pair.here.call("give_up", timeout=SECONDS)
    assert caught.value.code == CANCELLED


async def test_settling_waits_for_answers(pair: Pair) -> None:
    began, done = asyncio.Event(), asyncio.Event()

    async def slow(params: dict[str, Any]) -> str:
        began.set()
        await done.wait()
        return "done"

    pair.there._handlers = {"slow": slow}
    call = asyncio.create_task(pair.here.call("slow"))
    await began.wait()
    settling = asyncio.create_task(pair.there.settle(SECONDS))
    await asyncio.sleep(0.05)
    assert not settling.done()
    done.set()
    await settling
    assert await call == "done"


def _job() -> PhaseJob:
    return PhaseJob(
        project=ProjectSetup(
            name="shop", path=Path("/srv/shop"), main_branch="main", state_path=Path("/state")
        ),
        agent=AgentSetup(name="a", kind="acp", argv=("/bin/a",), home_files={".x": "y"}),
        story=StoryBrief(id="shop-1", title="t", body="b", acceptance_criteria=("c",)),
        phase=Phase.CODE_GREEN,
        attempt=2,
        generation=3,
        base_commit="b",
        red_commit=None,
        head_commit=None,
        red_evidence=None,
    )


def test_a_job_goes_through_json_unchanged() -> None:
    assert decode(PhaseJob, json.loads(json.dumps(encode(_job())))) == _job()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"phase": "lunch"}, "phase"),
        ({"attempt": "many"}, "attempt"),
        ({"story": None}, "story"),
        ({"project": {"name": "x"}}, "project.path"),
        ({"agent": []}, "agent"),
    ],
)
def test_a_body_that_does_not_fit_names_the_field(change: dict[str, Any], named: str) -> None:
    with pytest.raises(RpcError, match=named) as caught:
        decode(PhaseJob, {**encode(_job()), **change})
    assert caught.value.code == INVALID_PARAMS


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON)
def test_foreign_bodies_never_raise_anything_else(body: object) -> None:
    for kind in (PhaseJob, Salvage):
        with pytest.raises(RpcError):
            decode(kind, body)
