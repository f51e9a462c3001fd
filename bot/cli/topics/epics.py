"""Words for wishes that are too large for one story."""

from __future__ import annotations

from bot.cli import output_epics as output
from bot.cli import questions
from bot.cli.command import Asked, Command, Told, Topic
from core.domain.story import StoryStatus


async def _epic(asked: Asked) -> Told:
    view = await asked.commands.begin_epic(asked.words[0], asked.rest(1), actor=asked.actor)
    shown = output.epic_begun(view, in_shell=asked.in_shell)
    return Told(value=view, shown=shown)


async def _epics(asked: Asked) -> Told:
    word = asked.words[0].lower()
    if not await questions.is_project(asked.commands, word):
        one = await asked.commands.epic(word)
        return Told(value=one, shown=output.epic(one, in_shell=asked.in_shell))
    found = await asked.commands.epics(word)
    return Told(value=found, shown=output.epics(word, found, in_shell=asked.in_shell))


async def _proposals(asked: Asked) -> Told:
    project = asked.words[0].lower()
    found = tuple(
        view for view in await asked.commands.backlog(project) if view.status is StoryStatus.PROPOSED
    )
    return Told(value=found, shown=output.proposals(project, found, in_shell=asked.in_shell))


async def _revise(asked: Asked) -> Told:
    view = await asked.commands.revise_epic(asked.words[0], asked.rest(1), actor=asked.actor)
    shown = output.epic_begun(view, in_shell=asked.in_shell)
    return Told(value=view, shown=shown)


EPICS = Topic(
    title="Epics",
    commands=(
        Command(
            form="epic <project> <wish...>",
            purpose="Have an agent propose stories for a larger wish",
            answer=_epic,
            completes=("project", ""),
        ),
        Command(
            form="epics <project|epic>",
            purpose="A project's epics, or what one proposes",
            answer=_epics,
            completes=("project,epic",),
            looks=True,
        ),
        Command(
            form="proposals <project>",
            purpose="Stories that wait to be approved",
            answer=_proposals,
            completes=("project",),
            looks=True,
        ),
        Command(
            form="revise <epic> <text...>",
            purpose="Have its stories proposed anew, and say how",
            answer=_revise,
            completes=("epic", ""),
        ),
    ),
)
