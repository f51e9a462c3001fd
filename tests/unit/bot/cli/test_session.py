"""Whom a command line talks to: the running Orchard, one that is just starting, or the store."""

from __future__ import annotations

import asyncio
import fcntl
import os

import pytest

from bot.cli import session as sessions
from bot.cli.questions import resolve_approval
from bot.cli.session import open_session, running_pid
from core.errors import Unavailable
from core.orchestrator.control import serve_control, socket_path


@pytest.fixture
def held(tmp_path):
    """The state folder, held as by a running Orchard: by this process."""
    state = tmp_path / ".orch-global"
    state.mkdir()
    with (state / "orchard.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        yield state


async def test_looking_at_an_unused_folder_leaves_nothing_there(tmp_path):
    async with open_session(tmp_path, looking=True) as session:
        assert (await session.commands.system()).projects == ()
        assert not session.running
    assert list(tmp_path.iterdir()) == []


async def test_looking_shows_what_is_configured_without_beginning_it(tmp_path, checkout):
    checkout(tmp_path / "shop")
    (tmp_path / "orch-config.yaml").write_text("projects: {shop: {path: shop}}\n")
    async with open_session(tmp_path, looking=True) as session:
        assert [view.project.name for view in await session.commands.projects()] == ["shop"]
    assert not (tmp_path / ".orch-global").exists()


async def test_the_running_orchard_is_asked(tmp_path):
    async with (
        open_session(tmp_path) as own,
        serve_control(own.commands, socket_path(tmp_path / ".orch-global")),
        open_session(tmp_path) as session,
    ):
        assert session.running
        assert (await session.commands.system()).projects == ()


async def test_one_that_is_starting_is_waited_for(tmp_path, held):
    assert running_pid(held) == os.getpid()

    async def look():
        async with open_session(tmp_path) as session:
            return session.running

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.3)
    assert not looking.done()
    (tmp_path / "other").mkdir()
    async with open_session(tmp_path / "other") as own, serve_control(own.commands, socket_path(held)):
        assert await asyncio.wait_for(looking, 50)


async def test_one_that_never_answers_is_told(tmp_path, held, monkeypatch):
    monkeypatch.setattr(sessions, "_STARTING_SECONDS", 0.2)
    with pytest.raises(Unavailable, match=f"pid {os.getpid()}"):
        async with open_session(tmp_path):
            pass


def test_a_lock_that_a_dead_orchard_left_behind_holds_nothing(tmp_path):
    assert running_pid(tmp_path) is None
    (tmp_path / "orchard.lock").write_text(str(os.getpid()))
    assert running_pid(tmp_path) is None  # nobody holds it
    (tmp_path / "orchard.lock").write_text("not a number")
    assert running_pid(tmp_path) is None


async def test_a_socket_that_a_dead_orchard_left_behind_is_passed_by(tmp_path):
    state = tmp_path / ".orch-global"
    state.mkdir()
    server = await asyncio.start_unix_server(lambda reader, writer: None, socket_path(state))
    server.close()
    await server.wait_closed()
    async with open_session(tmp_path) as session:
        assert not session.running


async def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / ".orch-global").write_text("")
    with pytest.raises(Unavailable, match="is not a folder"):
        async with open_session(tmp_path):
            pass


async def test_an_unknown_approval_is_left_to_core_to_refuse(tmp_path):
    async with open_session(tmp_path) as session:
        assert await resolve_approval(session.commands, " x ") == "x"
