"""Secrets, from the command to the process, the audit log beside it, and what is decided on the way."""

import sqlite3

import pytest

from core.domain.event import EventKind
from core.security.access import AT_THE_MACHINE
from core.security.vault import Vault

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

VALUE = "hunter2-of-the-shop"
TESTS = "tests-only-value-77"


async def kinds_of(commands):
    return [(row.kind, row.subject, row.data) for row in await commands.audit_entries(500)]


async def test_an_agent_and_the_tests_get_what_the_settings_name_and_nothing_shows_it(quick_farm):
    quick_farm.add("calc")
    quick_farm.settings = {"agent_secrets": ["SHOP_PASSWORD"], "test_secrets": ["TEST_DATABASE"]}
    async with quick_farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.set_secret("calc", "SHOP_PASSWORD", VALUE)
        await commands.set_secret("calc", "TEST_DATABASE", TESTS)
        (listed, other) = await commands.secrets("calc")
        await orchard.sprint("calc", "Multiply")
        await orchard.green("calc-1")
        rows = await kinds_of(commands)
        verdict = await commands.verify_audit()
        state = orchard.runtime.configuration().state_path
    assert (listed.name, listed.given_to, other.given_to) == ("SHOP_PASSWORD", ("agents",), ("tests",))
    used = {(subject, data["process"].split()[0]) for kind, subject, data in rows if kind == "secret_used"}
    assert used == {("SHOP_PASSWORD", "agent"), ("TEST_DATABASE", "tests")}
    assert verdict.sound
    assert verdict.rows == len(rows)
    for file in state.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert VALUE.encode() not in data, file
            assert TESTS.encode() not in data, file


async def test_a_secret_that_is_not_set_stops_the_story_and_says_so(quick_farm):
    quick_farm.add("calc")
    quick_farm.settings = {"agent_secrets": ["SHOP_PASSWORD"]}
    async with quick_farm.running() as orchard:
        await orchard.sprint("calc", "Multiply")
        blocked = await orchard.until(EventKind.STORY_BLOCKED)
    assert "calc has no secret SHOP_PASSWORD" in str(blocked.data)


async def test_people_are_made_linked_and_shut_out(quick_farm):
    async with quick_farm.running() as orchard:
        commands = orchard.runtime.commands
        ann = await commands.create_user("ann", "ann@example.org", "wandering ocean lamp tulip", None)
        bob = await commands.create_user(
            "bob", "bob@example.org", "purple rivers climb softly", "contributor"
        )
        code = await commands.link_code("bob")
        assert await commands.redeem_link("123456789012345678", code.code) == "bob"
        linked = await commands.linked_account("123456789012345678")
        await commands.disable_user("bob")
        gone = await commands.linked_account("123456789012345678")
        kinds = [kind for kind, _, _ in await kinds_of(commands)]
        vault = Vault(orchard.runtime.configuration())
    assert (ann.level, bob.level) == ("owner", "contributor")
    assert (linked.username, linked.disabled, gone.disabled) == ("bob", False, True)
    told = ["user_created", "user_created", "identity_linked", "user_disabled"]
    assert kinds == ["settings_changed", *told]  # the files, seen for the first time
    with sqlite3.connect(vault.store_path) as conn:
        assert vault.auditor.verify(conn).sound
    conn.close()
    assert AT_THE_MACHINE.name == "cli"
