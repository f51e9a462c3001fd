"""Registration against what is configured, and projects whose own files went bad; all of it real."""

import asyncio
import subprocess

import pytest
import yaml

from config.loader import load
from config.problems import ConfigError
from core.bus import Bus
from core.clock import SystemClock
from core.domain.lifecycles import ProjectStatus
from core.domain.story import Priority
from core.errors import InvalidInput, NotAllowed, Unavailable
from core.orchestrator.registry import Registry
from core.runtime import open_commands
from core.store import projects
from core.store.database import Store


def checkout(folder, branch="main"):
    folder.mkdir()
    git(folder, "init", "-q", "-b", branch)
    git(folder, "-c", "user.name=D", "-c", "user.email=d@x", "commit", "-q", "--allow-empty", "-m", "First")
    return folder


def git(folder, *words):
    subprocess.run(["git", "-C", folder, *words], check=True)


def configure(root, **projects):
    (root / "orch-config.yaml").write_text(yaml.safe_dump({"projects": projects}))


def registration(root, name="shop"):
    return root / ".orch-global" / "projects.d" / f"{name}.yaml"


@pytest.fixture
def opened(tmp_path):
    """The commands of the Orchard in `tmp_path`, as a context manager."""

    def read():
        return load(tmp_path, environ={})

    return lambda: open_commands(read(), read)


async def test_who_asks_is_told_what_was_taken_up_a_moment_before_and_once(tmp_path):
    configure(tmp_path, shop={"path": str(checkout(tmp_path / "shop"))})

    def read():
        return load(tmp_path, environ={})

    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        registry = Registry(store, read(), read)
        assert (await registry.reload(asked=True)).changed == ()
        configure(tmp_path, shop={"path": str(tmp_path / "shop"), "priority": "high"})
        seen = await registry.reload()  # by itself
        assert seen.changed == ("projects.shop.priority: normal → high",)
        told = await registry.reload(asked=True)
        assert (told.changed, told.taken_up_at is None) == (seen.changed, False)
        assert (await registry.reload(asked=True)).changed == ()


async def test_who_asks_while_it_is_taken_up_is_told_too(tmp_path):
    configure(tmp_path, shop={"path": str(checkout(tmp_path / "shop"))})

    def read():
        return load(tmp_path, environ={})

    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        registry = Registry(store, read(), read)
        taken_up, go = asyncio.Event(), asyncio.Event()

        async def record(told):
            taken_up.set()
            await go.wait()

        registry.record = record
        configure(tmp_path, shop={"path": str(tmp_path / "shop"), "priority": "high"})
        by_itself = asyncio.create_task(registry.reload())
        await taken_up.wait()
        asked = asyncio.create_task(registry.reload(asked=True))
        await asyncio.wait({asked}, timeout=0.1)
        go.set()
        assert (await asked).changed == (await by_itself).changed != ()


async def test_who_asks_is_told_that_keys_are_read_at_the_start_only(tmp_path):
    configure(tmp_path, shop={"path": str(checkout(tmp_path / "shop"))})
    (tmp_path / ".env").write_text("ANTHROPIC_API_KEY=old-key\n")

    def read():
        return load(tmp_path, environ={})

    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        registry = Registry(store, read(), read)
        assert (await registry.reload(asked=True)).later == ()
        (tmp_path / ".env").write_text("ANTHROPIC_API_KEY=another-key\n")
        assert (await registry.reload()).later == ()  # nobody asked
        for _ in range(2):
            [line] = (await registry.reload(asked=True)).later
            assert line.startswith(".env is another than at the start")
            assert "after a restart" in line
            assert "another-key" not in line


async def test_who_cannot_follow_changed_settings_keeps_no_other_from_hearing_of_them(tmp_path, caplog):
    configure(tmp_path, shop={"path": str(checkout(tmp_path / "shop"))})

    def read():
        return load(tmp_path, environ={})

    heard = []
    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        registry = Registry(store, read(), read)
        registry.on_changed(lambda: 1 // 0)
        registry.on_changed(lambda: heard.append(registry.priority("shop")))
        configure(tmp_path, shop={"path": str(tmp_path / "shop"), "priority": "high"})
        assert (await registry.reload()).changed == ("projects.shop.priority: normal → high",)
    assert heard == [Priority.HIGH]
    assert "not everything follows" in caplog.text


async def test_a_configured_name_keeps_its_path(opened, tmp_path):
    configure(tmp_path, shop={"path": str(tmp_path / "gone")})
    other = checkout(tmp_path / "shop")
    async with opened() as commands:
        with pytest.raises(InvalidInput, match=r"shop is configured with another path, .*gone\.") as refused:
            await commands.register_project("shop", other, actor="cli")
        assert "orch-config.yaml says so" in refused.value.why
        assert await commands.projects() == ()
    assert not registration(tmp_path).exists()


async def test_a_configured_name_is_registered_with_its_own_path_without_another_file(opened, tmp_path):
    configure(tmp_path, shop={"path": "shop", "priority": "high"})
    async with opened() as commands:
        assert list((await commands.system()).unusable) == ["shop"]  # there is no such folder yet
        made = await commands.register_project("shop", checkout(tmp_path / "shop"), actor="cli")
        system = await commands.system()
    assert made.project.status is ProjectStatus.ACTIVE  # what the configuration says by default
    assert (system.unusable, system.projects[0].priority) == ({}, Priority.HIGH)
    assert not registration(tmp_path).exists()


async def test_a_configured_name_without_path_gets_it_and_its_other_keys_count(opened, tmp_path):
    configure(tmp_path, shop={"priority": "critical", "main_branch": "trunk", "status": "paused"})
    path = checkout(tmp_path / "here", branch="trunk")
    git(path, "switch", "-q", "-c", "side")
    async with opened() as commands:
        made = await commands.register_project("shop", path, actor="cli")
        (view,) = await commands.projects()
    assert (made.project.main_branch, made.project.status) == ("trunk", ProjectStatus.PAUSED)
    assert view.priority is Priority.CRITICAL
    assert f"path: {path}" in registration(tmp_path).read_text()
    assert "priority" not in registration(tmp_path).read_text()


async def test_a_file_of_its_own_that_fits_no_other_leaves_nothing_behind(opened, tmp_path):
    path = checkout(tmp_path / "shop")
    (path / ".orch-state").mkdir()
    (path / ".orch-state" / "config.yaml").write_text("dependencies: [nobody]\n")
    async with opened() as commands:
        with pytest.raises(ConfigError, match="there is no project 'nobody'"):
            await commands.register_project("shop", path, actor="cli")
        assert await commands.projects() == ()
    assert not registration(tmp_path).exists()


async def test_a_person_s_edit_counts_without_a_restart(opened, tmp_path):
    async with opened() as commands:
        configure(tmp_path, bank={"path": str(tmp_path / "bank")})
        with pytest.raises(InvalidInput, match="lies inside project bank"):
            await commands.register_project("shop", inner(tmp_path), actor="cli")
        (tmp_path / "orch-config.yaml").write_text("colour: red\n")
        with pytest.raises(ConfigError, match="colour"):
            await commands.register_project("shop", inner(tmp_path), actor="cli")


def inner(root):
    (root / "bank").mkdir(exist_ok=True)
    folder = root / "bank" / "inner"
    return folder if folder.exists() else checkout(folder)


async def test_a_project_that_no_file_names_any_more_can_be_registered_again(opened, tmp_path):
    path = checkout(tmp_path / "shop")
    async with opened() as commands:
        await commands.register_project("shop", path, actor="cli")
        registration(tmp_path).unlink()
        with pytest.raises(Unavailable, match="not configured any more") as refused:
            await commands.start_project("shop", actor="cli")
        assert "orchard register shop PATH" in refused.value.hint
        with pytest.raises(InvalidInput, match="already, with the checkout"):
            await commands.register_project("shop", checkout(tmp_path / "b"), actor="cli")
        await commands.register_project("shop", path, actor="cli")
        assert (await commands.start_project("shop", actor="cli")).status is ProjectStatus.ACTIVE


async def test_a_bad_file_in_a_checkout_is_told_and_keeps_only_that_project_from_starting(opened, tmp_path):
    async with opened() as commands:
        for name in ("shop", "bank"):
            await commands.register_project(name, checkout(tmp_path / name), actor="cli")
    own = tmp_path / "shop" / ".orch-state" / "config.yaml"
    own.parent.mkdir()
    own.write_text("test_comand: make\n")
    async with opened() as commands:
        with pytest.raises(ConfigError, match="test_comand"):
            await commands.start_project("shop", actor="cli")
        views = {view.project.name: view for view in await commands.projects()}
        assert "did you mean 'test_command'" in views["shop"].problem
        assert views["bank"].problem == ""
        assert (await commands.start_project("bank", actor="cli")).status is ProjectStatus.ACTIVE
        own.write_text("test_command: make\n")
        assert (await commands.start_project("shop", actor="cli")).status is ProjectStatus.ACTIVE


async def test_a_bad_registration_is_told_where_no_project_is_known_yet(opened, tmp_path):
    registration(tmp_path).parent.mkdir(parents=True)
    registration(tmp_path).write_text("path: [\n")
    async with opened() as commands:
        assert "is not YAML" in (await commands.system()).unusable["shop"]
        with pytest.raises(ConfigError, match="is not YAML"):
            await commands.register_project("shop", checkout(tmp_path / "shop"), actor="cli")
    assert registration(tmp_path).read_text() == "path: [\n"


async def test_another_state_folder_needs_a_restart(opened, tmp_path):
    async with opened() as commands:
        await commands.register_project("shop", checkout(tmp_path / "shop"), actor="cli")
        (tmp_path / "orch-config.yaml").write_text("global: {global_state_path: elsewhere}\n")
        with pytest.raises(NotAllowed, match="elsewhere"):
            await commands.start_project("shop", actor="cli")


async def test_looking_at_what_cannot_be_used_tells_nobody(opened, tmp_path):
    configure(tmp_path, shop={"path": str(tmp_path / "gone")})
    for _ in range(2):
        async with opened() as commands:
            assert await commands.events() == ()


async def test_main_branch_that_was_renamed_is_followed_when_the_settings_name_it(tmp_path):
    folder = checkout(tmp_path / "shop")
    configure(tmp_path, shop={"path": str(folder)})

    def read():
        return load(tmp_path, environ={})

    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        registry = Registry(store, read(), read)
        await registry.adopt()
        configure(tmp_path, shop={"path": str(folder), "main_branch": "trunk"})
        (problem,) = (await registry.reload(asked=True)).problems
        assert "no branch trunk" in problem
        assert (await store.read(lambda conn: projects.get(conn, "shop"))).main_branch == "main"
        git(folder, "branch", "-m", "main", "trunk")
        told = []
        registry.on_registered(lambda project: told.append(project.main_branch))
        assert (await registry.reload(asked=True)).problems == ()
        assert (await store.read(lambda conn: projects.get(conn, "shop"))).main_branch == "trunk"
        assert told == ["trunk"]
