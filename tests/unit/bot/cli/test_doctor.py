"""`orchard doctor`, on folders in every state, and against a Discord that answers for real."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bot.cli.discordcheck import check_discord
from bot.cli.doctor import _isolation, _web, examine
from bot.localguild.model import Role
from bot.localguild.permissions import BOT_DEFAULT, Permission
from bot.localguild.server import LocalGuild
from bot.localguild.settings import GuildSettings
from config.loader import load
from config.problems import ConfigError
from config.web_settings import WebSettings
from core.isolation.plan import Level, Machine

ENVIRON = {"PATH": os.environ["PATH"]}


async def checks(root, project=None):
    report = await examine(root, project, ENVIRON)
    found = {}
    for check in report.checks:
        found.setdefault(check.name, []).append(check)
    return found, report.healthy


async def test_an_unused_folder_is_healthy_and_stays_as_it_is(tmp_path):
    found, healthy = await checks(tmp_path)
    assert healthy, found
    assert {"python", "git", "isolation", "configuration", "state folder", "store", "discord"} <= set(found)
    assert "defaults only" in found["configuration"][0].found
    assert found["discord"][0].state == "note"
    assert "DISCORD_TOKEN" in found["discord"][0].mend
    assert list(tmp_path.iterdir()) == []


async def test_what_holds_projects_to_their_limits_is_said_for_each_resource(tmp_path):
    found, _ = await checks(tmp_path)
    (check,) = found["limits"]
    for resource in ("memory: ", "cpu: ", "processes: ", "disk: watchdog"):
        assert resource in check.found
    assert (check.state == "ok") == (check.mend == "")


async def test_every_mistake_of_a_configuration_is_a_line(tmp_path):
    (tmp_path / "orch-config.yaml").write_text("colour: red\nglobal: {max_total_agents: 0}\n")
    found, healthy = await checks(tmp_path)
    assert not healthy
    lines = found["configuration"][0].found.splitlines()
    assert lines[0] == "The configuration has 2 mistakes:"
    assert [line.split(":")[1:3] for line in lines[1:]] == [["1", "1"], ["2", "10"]]


async def test_a_project_with_a_bad_file_is_missing_and_the_rest_is_examined(tmp_path, checkout):
    own = checkout(tmp_path / "shop") / ".orch-state" / "config.yaml"
    own.parent.mkdir()
    own.write_text("test_comand: x\n")
    (tmp_path / "orch-config.yaml").write_text(
        "projects: {shop: {path: shop}, gone: {path: gone}, new: {}}\n"
    )
    found, healthy = await checks(tmp_path, "shop")
    assert not healthy
    assert "did you mean 'test_command'" in found["shop"][0].found
    assert "There is no folder" in found["gone"][0].found
    assert any("new has no path yet" in check.found for check in found["configuration"])
    assert "replay" in found["other agents"][0].found


async def test_one_project_is_examined_when_it_is_named(tmp_path, checkout):
    checkout(tmp_path / "shop")
    (tmp_path / "orch-config.yaml").write_text("projects: {shop: {path: shop}, new: {}}\n")
    found, healthy = await checks(tmp_path, " Shop ")
    assert not healthy  # it has no agent
    assert found["shop: agent"][0].state == "missing"
    assert found["shop: checkout"][0].state == "ok"
    assert found["shop: tests"][0].state == "ok"
    assert "no agent is chosen for shop" in found["agents"][0].found
    assert (await checks(tmp_path, "new"))[0]["new"][0].mend == "orchard register new PATH"
    assert "Known: shop" in (await checks(tmp_path, "bank"))[0]["bank"][0].mend


async def test_a_chosen_agent_that_is_not_there_must_be_mended(tmp_path):
    (tmp_path / "orch-config.yaml").write_text(
        "global: {default_agent: nowhere}\nagents: {nowhere: {argv: [no-such-agent]}}\n"
    )
    found, healthy = await checks(tmp_path)
    assert not healthy
    assert found["agent nowhere"][0].state == "missing"


async def test_agents_of_roles_must_be_there_fallbacks_may_and_others_take_one_line(tmp_path, checkout):
    checkout(tmp_path / "shop")
    (tmp_path / "orch-config.yaml").write_text(
        "projects: {shop: {path: shop, agent: here, agents_by_role: {qa: gone}, agent_fallbacks: [spare]}}\n"
        "agents:\n  here: {argv: [sh]}\n  gone: {argv: [no-such-1]}\n  spare: {argv: [no-such-2]}\n"
        "  unused: {argv: [no-such-3]}\n"
    )
    found, healthy = await checks(tmp_path)
    assert not healthy
    states = {name: found[f"agent {name}"][0].state for name in ("here", "gone", "spare")}
    assert states == {"here": "ok", "gone": "missing", "spare": "note"}
    assert "agent unused" not in found
    assert "unused" in found["other agents"][0].found


async def test_a_damaged_store_is_told_with_what_to_do(tmp_path):
    (tmp_path / ".orch-global").mkdir()
    (tmp_path / ".orch-global" / "orchard.db").write_text("not a database at all, by any means\n" * 100)
    found, healthy = await checks(tmp_path)
    assert not healthy
    assert "no database" in found["store"][0].found
    assert "restore a backup" in found["store"][0].mend


async def test_a_file_in_the_place_of_the_state_folder_is_told(tmp_path):
    (tmp_path / ".orch-global").write_text("")
    found, _ = await checks(tmp_path)
    assert found["state folder"][0].state == "missing"


async def test_secrets_that_others_can_read_are_noticed(tmp_path):
    (tmp_path / ".env").write_text("")
    (tmp_path / ".env").chmod(0o644)
    assert (await checks(tmp_path))[0]["secrets"][0].mend == f"chmod 600 {tmp_path / '.env'}"
    (tmp_path / ".env").chmod(0o600)
    assert (await checks(tmp_path))[0]["secrets"][0].state == "ok"


async def test_a_git_that_is_too_old_or_absent_is_told(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert (await checks(tmp_path))[0]["git"][0].found == "not found"
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\necho git version 2.30.2\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    assert (await checks(tmp_path))[0]["git"][0].state == "missing"


# -- Discord -----------------------------------------------------------------------------------------


@pytest.fixture
def asked(tmp_path):
    """What Discord says, with the environment that a guild gives and further settings."""

    async def ask(environ, **settings):
        configuration = load(tmp_path, environ=environ, overrides={"global": settings})
        return await check_discord(configuration.settings)

    return ask


async def test_a_bot_that_may_do_all_it_needs_is_ready(asked):
    async with LocalGuild() as guild:
        token, server = await asked(guild.environment, global_discord_guild=str(guild.guild_id))
    assert (token.state, server.state) == ("ok", "ok")
    assert "the token is Orchard's" in token.found


async def test_a_token_that_discord_refuses_must_be_mended(asked):
    async with LocalGuild() as guild:
        (token,) = await asked({**guild.environment, "DISCORD_TOKEN": "wrong.token.here"})
    assert token.state == "missing"
    assert "wrong.token" not in token.found + token.mend


async def test_missing_permissions_are_named(asked):
    allowed = BOT_DEFAULT & ~(Permission.MANAGE_CHANNELS | Permission.ADMINISTRATOR)
    async with LocalGuild(GuildSettings(bot_permissions=allowed)) as guild:
        _, server = await asked(guild.environment)
    assert server.state == "missing"
    assert "lacks Manage Channels" in server.found


async def test_configured_roles_that_the_server_has_not_are_named(asked):
    levels = {"helper": "contributor", "everyone": "viewer", 99: "admin"}
    async with LocalGuild() as guild:
        guild.world.guild.roles[7] = Role(id=7, name="helper")
        *_, roles = await asked(guild.environment, discord={"role_levels": levels})
        well = await asked(guild.environment, discord={"role_levels": {"helper": "viewer"}})
    assert (roles.name, roles.state) == ("discord roles", "missing")
    assert "no role 99:" in roles.found
    assert "@everyone, helper" in roles.mend.replace("Orchard, ", "")
    assert len(well) == 2


async def test_no_role_makes_an_owner(asked):
    with pytest.raises(ConfigError, match="viewer"):
        await asked({}, discord={"role_levels": {"helper": "owner"}})


async def test_a_bot_that_was_not_invited_is_told_where_it_is(asked):
    async with LocalGuild() as guild:
        _, server = await asked(guild.environment, global_discord_guild="123456789012345678")
        here = str(guild.guild_id)
    assert server.state == "missing"
    assert here in server.found


async def test_a_discord_that_is_down_is_no_fault_of_the_settings(asked):
    async with LocalGuild() as guild:
        environ = dict(guild.environment)
    (token,) = await asked(environ)
    assert token.state == "note"
    assert "could not be asked" in token.found


async def test_discord_switched_off_is_a_note(asked):
    (only,) = await asked({"DISCORD_TOKEN": "a"}, discord={"enabled": False})
    assert only.state == "note"


async def test_providers_of_models_are_told_by_whether_they_have_a_key(tmp_path):
    found, _ = await checks(tmp_path)
    assert found["model gateway"][0].state == "note"
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-hidden\n")
    found, _ = await checks(tmp_path)
    (check,) = found["model gateway"]
    assert check.state == "ok"
    assert check.found.startswith("keys for openai; none for anthropic, gemini")
    assert "sk-hidden" not in repr(check)
    (tmp_path / "orch-config.yaml").write_text("global: {model_gateway: {enabled: false}}\n")
    found, _ = await checks(tmp_path)
    assert "switched off" in found["model gateway"][0].found


def test_a_machine_without_level_network_is_told_why():
    found = _isolation(
        Machine(
            levels=(Level.PROCESS, Level.FILESYSTEM),
            reasons={Level.NETWORK: "There is no filter of system calls for riscv yet."},
            strongest=Level.FILESYSTEM,
            python=Path("/usr/bin/python3"),
            contain=Path("/contain.py"),
        )
    )
    assert found.state == "note"
    assert "filter of system calls for riscv" in found.found
    assert "allow-list" in found.mend


def test_the_web_servers_own_port_is_tried():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = _web(WebSettings(port=port))
        assert (told.state, f"127.0.0.1:{port} cannot be used" in told.found) == ("note", True)
    assert _web(WebSettings(port=port)).state == "ok"
    assert _web(WebSettings(enabled=False)).found == "switched off"
