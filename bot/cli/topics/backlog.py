"""Words for what waits to be done."""

from __future__ import annotations

from bot.cli import output_epics
from bot.cli import output_stories as output
from bot.cli.command import Asked, Command, Misused, Told, Topic
from bot.cli.fields import FIELDS, arguments, parse_fields
from core.domain.story import Priority

_ENDS = ("top", "bottom", "before")
_PLACES = "|".join((*Priority, *_ENDS))


async def _backlog(asked: Asked) -> Told:
    project = asked.words[0].lower()
    found = await asked.commands.backlog(project)
    return Told(value=found, shown=output_epics.backlog(project, found, in_shell=asked.in_shell))


async def _add(asked: Asked) -> Told:
    """A title in quotes may be followed by fields; without quotes, all that follows is the title."""
    project, *words = asked.words
    if len(words) > 1 and len(words[0].split()) > 1:
        given = arguments(parse_fields(words[1:], more=("priority",)))
        if "title" in given or given.pop("clear_estimate", False):
            raise Misused("A new story has one title, and no estimate to take away.")
        story = await asked.commands.add_story(project, words[0], **given, actor=asked.actor)
    else:
        story = await asked.commands.add_story(project, " ".join(words), actor=asked.actor)
    return Told(value=story, shown=output.story_added(story))


async def _edit(asked: Asked) -> Told:
    story, *words = asked.words
    view = await asked.commands.edit_story(story, **arguments(parse_fields(words)), actor=asked.actor)
    return Told(value=view, shown=output.story_changed(view))


async def _prioritize(asked: Asked) -> Told:
    """A priority, a place, or both in whichever order."""
    story, *words = asked.words
    priority: Priority | None = None
    place: list[str] = []
    for word in words:
        if word.lower() in set(Priority) and "before" not in place[-1:]:
            priority = Priority(word.lower())
        else:
            place.append(word.lower())
    if place and place[0] not in _ENDS:
        raise Misused(
            f"'{place[0]}' is neither a priority nor a place.",
            hint=f"Priorities: {', '.join(Priority)}. Places: top, bottom, before shop-3.",
        )
    view = await asked.commands.prioritize_story(
        story, priority=priority, place=" ".join(place) or None, actor=asked.actor
    )
    return Told(value=view, shown=output.story_changed(view))


async def _remove(asked: Asked) -> Told:
    view = await asked.commands.remove_story(asked.words[0], asked.rest(1), actor=asked.actor)
    return Told(value=view, shown=output.story_moved(view))


BACKLOG = Topic(
    title="Backlog",
    commands=(
        Command(
            form="backlog <project>",
            purpose="What waits to be planned, and what is proposed",
            answer=_backlog,
            completes=("project",),
            looks=True,
        ),
        Command(
            form="add <project> <title...>",
            purpose='Add a story; more of it: add shop "Pay" estimate 3',
            answer=_add,
            completes=("project",),
        ),
        Command(
            form="edit <story> <field> <value...>",
            purpose=f"Change {', '.join(FIELDS)}",
            answer=_edit,
            completes=("story", "|".join(FIELDS)),
        ),
        Command(
            form="prioritize <story> <where...>",
            purpose="high, top, bottom, before shop-3, ...",
            answer=_prioritize,
            completes=("story", _PLACES, "story"),
        ),
        Command(
            form="remove <story> [reason...]",
            purpose="Take a story out of the backlog",
            answer=_remove,
            completes=("story", ""),
        ),
    ),
)
