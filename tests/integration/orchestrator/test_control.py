"""The running commands, spoken to from another process's side of the socket."""

import stat

import pytest

from config.loader import load
from core.domain.story import Priority, StoryStatus
from core.errors import NotAllowed, NotFound, Unavailable
from core.orchestrator.control import connect, serve_control, socket_path
from core.runtime import open_commands


@pytest.fixture
async def remote(farm, tmp_path):
    farm.add("calc")
    farm.write()

    def read():
        return load(tmp_path, environ={})

    path = socket_path(tmp_path)
    async with (
        open_commands(read(), read) as commands,
        serve_control(commands, path),
        connect(path) as found,
    ):
        yield found


async def test_values_travel_as_they_are(remote):
    story = await remote.add_story(
        "calc", "Multiply", acceptance_criteria=("a", "b"), priority=Priority.HIGH, actor="cli"
    )
    assert story.priority is Priority.HIGH
    detail = await remote.story(story.id)
    assert detail.view.story == story
    assert (await remote.system()).projects[0].project.name == "calc"


async def test_shares_and_reasons_travel_as_they_are(remote):
    view = await remote.resources()
    [project] = view.projects
    assert project.resources[0].limit == 3  # agents
    cpu = next(each for each in project.resources if each.resource == "cpu")
    assert cpu.limit is None  # not limited, and no infinity in JSON
    story = await remote.add_story("calc", "Multiply", acceptance_criteria=("a",), actor="cli")
    told = await remote.why(story.id)
    assert (told.story_id, told.status) == (story.id, StoryStatus.BACKLOG)
    with pytest.raises(Unavailable, match="by a running Orchard only"):
        await remote.optimize(dry_run=True, actor="cli")


async def test_errors_keep_their_words_and_their_class(remote):
    with pytest.raises(NotFound, match="nope"):
        await remote.project("nope")
    with pytest.raises(NotAllowed) as refused:
        await remote.start_sprint("calc", actor="cli")
    assert "Possible now" in refused.value.hint


async def test_only_this_user_may_connect(remote, tmp_path):
    assert stat.S_IMODE(socket_path(tmp_path).stat().st_mode) == 0o600


async def test_nobody_listening_says_how_to_start(tmp_path):
    with pytest.raises(Unavailable, match="orchard run"):
        async with connect(tmp_path / "control.sock"):
            pass


async def test_a_long_folder_name_still_gets_a_socket(tmp_path):
    deep = tmp_path / ("x" * 120)
    assert len(str(socket_path(deep))) < 108
    assert socket_path(deep) != socket_path(tmp_path / ("y" * 120))
