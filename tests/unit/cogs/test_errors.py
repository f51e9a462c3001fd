import logging

import pytest
from discord import app_commands
from discord.ext import commands

from cogs.desk import NotAdmitted
from cogs.errors import explain, told
from core.errors import NotAllowed, OrchardError


def wrapped(error: Exception, *layers: type[Exception]) -> Exception:
    for layer in layers:
        outer = layer(error)  # type: ignore[call-arg]
        outer.__cause__ = error
        error = outer
    return error


def test_our_error_is_found_under_discord_pys_wrappings() -> None:
    ours = NotAllowed("no", why="because", hint="ask")
    assert explain(ours) is ours
    assert explain(wrapped(ours, commands.CommandInvokeError)) is ours
    assert explain(wrapped(ours, commands.CommandInvokeError, commands.HybridCommandError)) is ours
    assert explain(NotAdmitted(ours)) is ours


def test_misuse_is_a_sentence() -> None:
    for error in (
        commands.CommandNotFound("x"),
        commands.BadArgument("not a number"),
        commands.NoPrivateMessage(),
        app_commands.CommandNotFound("x", []),
    ):
        found = explain(error)
        assert isinstance(found, OrchardError)
        assert found.hint


def test_a_fault_of_ours_is_an_id_that_the_log_has(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    error = wrapped(ZeroDivisionError("secret detail"), commands.CommandInvokeError)
    message = told(error, "/state")
    text = str(message)
    assert "secret detail" not in text
    [record] = caplog.records
    assert record.getMessage().split(":")[0] in text
    assert record.exc_info


def test_the_reason_and_the_next_step_are_shown() -> None:
    text = str(told(NotAllowed("no", why="it is *late*", hint="come tomorrow"), "/state"))
    assert r"it is \\*late\\*" in text
    assert "come tomorrow" in text
