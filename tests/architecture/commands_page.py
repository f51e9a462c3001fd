"""The page of slash commands, made from them: `python -m tests.architecture.commands_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discord import app_commands

from bot.discord.client import COGS
from cogs.access import RIGHTS, Right

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

TITLES = {
    "Status": "Everything",
    "Epics": "Epics and their proposals",
    "Sprint": "Sprints, their review and what people said",
    "State": "A project's state",
    "Tdd": "Cycles",
    "Story": "A story at work",
    "Rescue": "When a story needs help",
    "Resources": "Shares of the machine",
    "Budget": "What agents may use",
    "Charts": "Pictures of how things go",
    "Session": "What agents were told and said",
    "Agents": "Coding agents",
    "Github": "GitHub",
    "Notifications": "Who is called, and when",
}

_HEAD = """# Slash commands

Made from the commands themselves by `python -m tests.architecture.commands_page`; a test keeps it current.

In a project's channel, `project` may be left out, and in a story's thread `story` too (it takes an id or a
title). What is in brackets may be left out. Each also works as text: `@Orchard sprint plan shop-1 shop-3`.
"Looks" may be run by every member; "changes" needs one of `global.discord.roles` where some are configured.
Roles may have levels instead, and people users of their own: see [users.md](users.md).
For "decides" the project's settings say who may. Buttons do what the commands do.
"""

_RIGHTS = {Right.LOOK: "looks", Right.STEER: "changes", Right.DECIDE: "decides"}


def leaves(command: Any) -> Iterator[Any]:
    """The commands that can be run, of a group or alone."""
    if isinstance(command, app_commands.Group):
        for inner in command.commands:
            yield from leaves(inner)
    else:
        yield command


def shown(parameter: Any) -> str:
    """`project` and `story` mean the same everywhere: the head of the page says what."""
    choices = f": {', '.join(choice.name for choice in parameter.choices)}" if parameter.choices else ""
    said = "" if parameter.name in ("project", "story") else f" {parameter.description}{choices}"
    text = f"`{parameter.name}`{said}"
    return text if parameter.required else f"[{text}]"


def page() -> str:
    parts = [_HEAD]
    for cog in COGS:
        found = [
            getattr(command, "app_command", None) for command in cog.__cog_commands__ if not command.parent
        ]
        rows = [leaf for command in found if command is not None for leaf in leaves(command)]
        if not rows:
            continue
        title = TITLES.get(cog.__name__, cog.__name__)
        parts.append(f"\n## {title}\n\n| command | what it does | options | |\n|---|---|---|---|\n")
        for leaf in rows:
            options = "<br>".join(shown(each) for each in leaf.parameters)
            right = _RIGHTS[RIGHTS[leaf.qualified_name]]
            parts.append(f"| `/{leaf.qualified_name}` | {leaf.description} | {options} | {right} |\n")
    return "".join(parts)


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name} is up to date now.")


if __name__ == "__main__":
    main()
