"""Words for sprints, from their plan to what people said of them."""

from __future__ import annotations

import re

from bot.cli import output_sprints as output
from bot.cli.command import Asked, Command, Misused, Told, Topic
from bot.cli.fields import parse_number
from cogs import typed

_HIGHEST = 1_000_000
_STORY = re.compile(r"-[0-9]+$")


async def _plan(asked: Asked) -> Told:
    project, *words = asked.words
    goal = ""
    if (at := next((n for n, word in enumerate(words) if word.lower() == "goal"), None)) is not None:
        words, goal = words[:at], " ".join(words[at + 1 :])
    stories = typed.words(" ".join(words))
    view = await asked.commands.plan_sprint(project, stories=stories, goal=goal, actor=asked.actor)
    return Told(value=view, shown=output.planned(view, in_shell=asked.in_shell))


async def _sprint(asked: Asked) -> Told:
    view = await asked.commands.start_sprint(asked.words[0], actor=asked.actor)
    return await _report(asked, view)


async def _pause(asked: Asked) -> Told:
    view = await asked.commands.pause_sprint(asked.words[0], actor=asked.actor)
    return await _moved(asked, view)


async def _resume(asked: Asked) -> Told:
    view = await asked.commands.resume_sprint(asked.words[0], actor=asked.actor)
    return await _moved(asked, view)


async def _report(asked: Asked, value: object) -> Told:
    from bot.cli.questions import project_report

    report = await project_report(asked.commands, asked.words[0])
    return Told(value=value, shown=output.report(report, in_shell=asked.in_shell))


async def _moved(asked: Asked, value: object) -> Told:
    return Told(value=value, shown=output.workflow(await asked.commands.workflow(asked.words[0])))


async def _review(asked: Asked) -> Told:
    view = await asked.commands.review(asked.words[0], _number(asked))
    return Told(value=view, shown=output.review(view, in_shell=asked.in_shell))


async def _burndown(asked: Asked) -> Told:
    view = await asked.commands.burndown(asked.words[0], _number(asked))
    return Told(value=view, shown=output.burndown(view))


def _number(asked: Asked) -> int | None:
    if len(asked.words) < 2:
        return None
    return parse_number(asked.words[1], "sprint's number", least=1, most=_HIGHEST)


async def _feedback(asked: Asked) -> Told:
    view = await asked.commands.feedback(asked.words[0], asked.rest(1), actor=asked.actor)
    return Told(value=view, shown=output.workflow(view))


async def _changes(asked: Asked) -> Told:
    """Story ids in front of the text name what is meant."""
    project, *words = asked.words
    count = next((n for n, word in enumerate(words) if not _names_stories(project, word)), len(words))
    if count == len(words):
        raise Misused("It is not said what should change.", hint='Use: changes shop shop-3 "..."')
    views = await asked.commands.request_changes(
        project, " ".join(words[count:]), stories=typed.words(" ".join(words[:count])), actor=asked.actor
    )
    return Told(value=views, shown=output.changes_requested(project, views, in_shell=asked.in_shell))


def _names_stories(project: str, word: str) -> bool:
    names = typed.words(word.lower())
    return bool(names) and all(
        name.startswith(f"{project.lower()}-") and _STORY.search(name) for name in names
    )


async def _history(asked: Asked) -> Told:
    words, project = list(asked.words), None
    if len(words) > 1 and words[0].lower() == "in":
        project, words = words[1], words[2:]
    query = " ".join(words)
    found = await asked.commands.retrospectives(query, project)
    return Told(value=found, shown=output.history(found, query, in_shell=asked.in_shell))


SPRINTS = Topic(
    title="Sprints",
    commands=(
        Command(
            form="plan <project> [stories...]",
            purpose="Plan a sprint; no stories: all; goal ... says its goal",
            answer=_plan,
            completes=("project", "story"),
        ),
        Command(
            form="sprint <project>",
            purpose="Start the planned sprint",
            answer=_sprint,
            completes=("project",),
        ),
        Command(form="pause <project>", purpose="Pause the sprint", answer=_pause, completes=("project",)),
        Command(
            form="resume <project>",
            purpose="Let the sprint go on, also from a usage limit",
            answer=_resume,
            completes=("project",),
        ),
        Command(
            form="review <project> [number]",
            purpose="What came of a sprint, with the evidence",
            answer=_review,
            completes=("project", ""),
            looks=True,
        ),
        Command(
            form="burndown <project> [number]",
            purpose="What was left over time, as a chart",
            answer=_burndown,
            completes=("project", ""),
            looks=True,
        ),
        Command(
            form="changes <project> [stories] <text...>",
            purpose="Ask for more after a sprint: new stories",
            answer=_changes,
            completes=("project", "story"),
        ),
        Command(
            form="feedback <project> <text...>",
            purpose="End a sprint's review",
            answer=_feedback,
            completes=("project", ""),
        ),
        Command(
            form="history [words...]",
            purpose="Search what was said of sprints; in shop ...: one project",
            answer=_history,
            looks=True,
        ),
    ),
)
