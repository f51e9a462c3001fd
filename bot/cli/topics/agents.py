"""The word for coding agents."""

from __future__ import annotations

from bot.cli import output_agents
from bot.cli.command import Asked, Command, Misused, Told, Topic
from bot.cli.marks import done

_FORM = "agents [list|install|uninstall|check] [agent]"


async def _agents(asked: Asked) -> Told:
    what = asked.words[0].lower() if asked.words else "list"
    if what == "list" and len(asked.words) < 2:
        views = await asked.commands.agents()
        return Told(value=views, shown=output_agents.agents(views))
    if what not in ("install", "uninstall", "check") or len(asked.words) < 2:
        raise Misused(f"'{' '.join(asked.words)}' cannot be done.", hint=f"Use: {_FORM}")
    name = asked.words[1].lower()
    if what == "install":
        made = await asked.commands.install_agent(name)
        return Told(value=made, shown=output_agents.installed(made))
    if what == "uninstall":
        await asked.commands.uninstall_agent(name)
        return Told(value=name, shown=done(f"{name} is removed."))
    found = await asked.commands.check_agent(name)
    return Told(value=found, shown=output_agents.conformance(found), good=found.passed)


AGENTS = Topic(
    title="Coding agents",
    commands=(
        Command(
            form=_FORM,
            purpose="List coding agents; fetch or check one",
            answer=_agents,
            completes=("list|install|uninstall|check",),
            looks=True,
        ),
    ),
)
