"""What is shown of a project's sandboxes, and the quick try from inside of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.settings import Settings
from core.agents.roles import Role
from core.doctor.isolation import Attempt, Reviewer
from core.errors import InvalidInput, NotFound, Unavailable
from core.isolation.plan import Level

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def reviewer(calculator, state_path, machine):
    def make(level: str, *, on=None, **more: object) -> Reviewer:
        if on is None and Level(level) not in machine.levels:
            pytest.skip(machine.reasons[Level(level)])
        projects = {"shop": {"name": "shop", "path": str(calculator.path), "isolation": level, **more}}
        settings = Settings.model_validate({"projects": projects})
        return Reviewer("shop", settings, state_path=state_path, machine=on or machine, environ={})

    return make


async def test_at_level_network_everything_is_held_for_every_role(reviewer) -> None:
    found = await reviewer("network").test()
    assert [each for each in found if not each.held] == []
    topics = [each.topic for each in found]
    assert topics.count("Writing") > 8  # the suite, once for the level
    assert {topics.count(f"An agent of role {role}") for role in Role} == {12}
    assert any("unlisted.invalid" in each.found for each in found)


async def test_below_it_the_network_is_open_and_said_to_be(reviewer) -> None:
    found = await reviewer("filesystem").test("qa")
    open_ones = [each for each in found if not each.held]
    assert "connect to a port of this machine" in {each.name for each in open_ones}
    assert {each.level for each in found} == {Level.FILESYSTEM}
    assert not any(each.expected for each in open_ones)


async def test_level_process_holds_nothing_and_says_so(reviewer, state_path) -> None:
    found: tuple[Attempt, ...] = await reviewer("process").test("code")
    got = {each.name for each in found if not each.held}
    assert {"read a file beside the worktree", "write what the role may not", "plant a git hook"} <= got
    assert {each.name for each in found if each.expected} >= {"leave a daemon behind"}
    assert [each for each in found if each.expected and not each.held] == []


def test_the_plan_shows_mounts_doors_and_rules(reviewer) -> None:
    view = reviewer(
        "network", network_allow=["pypi", "127.0.0.1:11434"], isolation_by_role={"qa": "filesystem"}
    ).show("code")
    assert view.level is Level.NETWORK
    assert "--unshare-net" in view.argv
    assert view.rules[0] == "pypi.org:443"
    assert [door.port for door in view.doors] == [3128, 11434]
    assert any(mount.writable and "worktrees" in str(mount.target) for mount in view.mounts)


def test_what_is_not_a_mount_is_shown_too(reviewer, machine) -> None:
    code, *_ = (view for view in reviewer("network").shown() if view.role == "code")
    assert code.refused_calls > 60
    assert ("the project's own, 1" in code.user) is machine.own_user
    assert code.limits["processes"] == 1024
    assert [view.role for view in reviewer("network").shown()] == list(Role)


def test_another_level_may_be_looked_at(reviewer) -> None:
    made = reviewer("network", isolation_by_role={"qa": "filesystem"})
    assert {view.level for view in made.at("process").shown()} == {Level.PROCESS}
    assert made.show("qa").level is Level.FILESYSTEM
    with pytest.raises(InvalidInput, match="no isolation level 'bubble'"):
        made.at("bubble")
    with pytest.raises(Unavailable, match="does not give isolation level 'container'"):
        made.at("container")  # which nobody looked for


def test_a_role_may_have_another_level(reviewer) -> None:
    made = reviewer("network", isolation_by_role={"qa": "filesystem"})
    assert (made.show("qa").level, made.show("code").level) == (Level.FILESYSTEM, Level.NETWORK)
    assert made.show("qa").doors == ()


def test_what_is_not_there_is_said(reviewer, machine) -> None:
    with pytest.raises(InvalidInput, match="no role"):
        reviewer("process").show("king")
    weak = replace(
        machine, levels=(Level.PROCESS,), strongest=Level.PROCESS, reasons={Level.NETWORK: "no bubblewrap"}
    )
    with pytest.raises(Unavailable) as caught:
        reviewer("network", on=weak)
    assert caught.value.why == "no bubblewrap"
    with pytest.raises(NotFound):
        Reviewer("shop", Settings(), state_path=machine.python, machine=machine, environ={})
