"""What core says for Discord, as the shell and the command line say it."""

from __future__ import annotations

import pytest

from bot.cli.words import possible, translated
from core.domain.lifecycles import WorkflowState
from core.domain.machine import allowed_commands


@pytest.mark.parametrize(
    ("said", "in_shell", "on_command_line"),
    [
        (
            "Start the project first: /project_start shop.",
            "Start the project first: start shop.",
            "Start the project first: orchard start shop.",
        ),
        ("Plan one: /sprint plan.", "Plan one: plan.", "Plan one: plan (in orchard shell)."),
        (
            "Possible now: /epic, /state, /backlog view, /backlog add_story, /backlog remove.",
            "Possible now: status, add.",
            "Possible now in orchard shell: status, add.",
        ),
        ("No folder /srv/state/x or /start.", "No folder /srv/state/x or /start.", None),
        ("Nothing to translate.", "Nothing to translate.", None),
    ],
)
def test_a_hint_names_commands_that_can_be_typed_there(said, in_shell, on_command_line):
    assert translated(said, in_shell=True) == in_shell
    assert translated(said, in_shell=False) == (on_command_line or said)


@pytest.mark.parametrize("state", list(WorkflowState))
def test_every_state_allows_something_that_can_be_typed(state):
    assert "status" in possible(allowed_commands(state))
