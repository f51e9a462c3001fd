"""The flags of the first documentation, as today's commands."""

from __future__ import annotations

import pytest

from bot.cli.aliases import translate


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--discover .", "discover ."),
        ("--discover /path1 /path2 /path3", "discover /path1 /path2 /path3"),
        ("--register myproject /path/to/project", "register myproject /path/to/project"),
        ("--interactive", "shell --with-orchard"),
        ("--debug --interactive", "--debug shell --with-orchard"),
        ("--interactive --debug", "--debug shell --with-orchard"),
        ("--no-discord --interactive", "shell --with-orchard --no-discord"),
        ("--interactive --no-intelligence", "shell --with-orchard --no-intelligence"),
        ("--status", "status"),
        ("--status --json", "status --json"),
        ("--status --no-discord", "status"),
        ("--no-intelligence --no-discord", "run --no-intelligence --no-discord"),
        ("--debug", "--debug run"),
        ("--no-discord run", "run --no-discord"),
        ("--no-discord shell --with-orchard", "shell --no-discord --with-orchard"),
        ("--root /srv --status", "--root /srv status"),
        ("status --root /srv", "--root /srv status"),
        ("projects --json --root=/srv --debug", "--debug --root=/srv projects --json"),
        ("", ""),
        ("--help", "--help"),
        ("status shop", "status shop"),
        ("discover --register .", "discover --register ."),
        ("approve x -- --debug", "approve x -- --debug"),
        ("--root", "--root"),
    ],
)
def test_a_command_line_is_read_as_it_was_meant(typed, meant):
    assert translate(typed.split()) == meant.split()
