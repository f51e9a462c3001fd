"""Words for the whole and its projects."""

from __future__ import annotations

from pathlib import Path

from bot.cli import output, output_sprints, questions
from bot.cli.command import Asked, Command, Misused, Told, Topic
from bot.cli.fields import parse_number
from bot.cli.output_stories import story_moved
from core.errors import Unavailable
from core.orchestrator.commands.people import AT_THE_MACHINE, LONGEST_DIGEST_HOURS


def _place(word: str) -> Path:
    return Path(word) if word.startswith("~") else Path(word).absolute()


async def _status(asked: Asked) -> Told:
    if asked.words:
        report = await questions.project_report(asked.commands, asked.words[0])
        return Told(value=report, shown=output_sprints.report(report, in_shell=asked.in_shell))
    view = await asked.commands.system()
    root = str(asked.session.configuration.root)
    return Told(value=view, shown=output.system(view, in_shell=asked.in_shell, root=root))


async def _projects(asked: Asked) -> Told:
    found = await asked.commands.projects()
    return Told(value=found, shown=output.projects(found, in_shell=asked.in_shell))


async def _register(asked: Asked) -> Told:
    name, place = asked.words
    made = await asked.commands.register_project(name, _place(place), actor=asked.actor)
    return Told(value=made, shown=output.registered(made, in_shell=asked.in_shell))


async def _discover(asked: Asked) -> Told:
    places = [_place(word) for word in asked.words]
    found = await questions.discover(asked.commands, places, register=True, actor=asked.actor)
    good = bool(found.registered) or not found.refused
    return Told(value=found, shown=output.discovered(found, in_shell=asked.in_shell), good=good)


async def _start(asked: Asked) -> Told:
    project = await asked.commands.start_project(asked.words[0], actor=asked.actor)
    return Told(value=project, shown=output.started(project, running=asked.session.running))


async def _stop(asked: Asked) -> Told:
    """A project of that name comes first: it had the word first."""
    word = asked.words[0]
    if await questions.is_project(asked.commands, word):
        project = await asked.commands.stop_project(word, actor=asked.actor)
        return Told(value=project, shown=output.stopped(project))
    view = await asked.commands.stop_story(word, actor=asked.actor)
    return Told(value=view, shown=story_moved(view))


async def _maintain(asked: Asked) -> Told:
    project = await asked.commands.maintain_project(asked.words[0], actor=asked.actor)
    return Told(value=project, shown=output.maintained(project))


async def _archive(asked: Asked) -> Told:
    name = (await asked.commands.project(asked.words[0])).project.name
    if [word.lower() for word in asked.words[1:]] != ["yes"]:
        again = f"archive {name} yes" if asked.in_shell else f"orchard archive {name} --yes"
        raise Misused(
            f"Whether {name} is to be archived has to be said twice: nothing was done.",
            hint=f"Its agents end and its questions are withdrawn; it can be reopened. Say: {again}",
        )
    made = await asked.commands.archive_project(name, actor=asked.actor)
    return Told(value=made, shown=output.archived(made, in_shell=asked.in_shell))


async def _reopen(asked: Asked) -> Told:
    project = await asked.commands.reopen_project(asked.words[0], actor=asked.actor)
    return Told(value=project, shown=output.reopened(project, in_shell=asked.in_shell))


async def _digest(asked: Asked) -> Told:
    words, hours = list(asked.words), None
    if words and words[-1].isdigit():
        hours = parse_number(words.pop(), "number of hours", least=1, most=LONGEST_DIGEST_HOURS)
    if len(words) > 1:
        raise Misused(f"'{words[1]}' is no number of hours.", hint="Use: digest [project] [hours]")
    found = await asked.commands.digest(AT_THE_MACHINE, words[0] if words else None, hours)
    return Told(value=found, shown=output_sprints.digest(found, in_shell=asked.in_shell))


async def _import(asked: Asked) -> Told:
    dry = len(asked.words) > 1
    if dry and asked.words[1].lower() != "look":
        raise Misused(f"'{asked.words[1]}' is too much.", hint="Use: import <project> [look]")
    taken = await asked.commands.import_state(asked.words[0], dry_run=dry, actor=asked.actor)
    return Told(value=taken, shown=output.imported(taken, in_shell=asked.in_shell))


async def _insights(asked: Asked) -> Told:
    raise _later("insights", "cross-project intelligence")


def _later(name: str, feature: str) -> Unavailable:
    return Unavailable(
        f"{name} is not there yet.", why=f"It comes with {feature}.", hint="help shows what is."
    )


SYSTEM = Topic(
    title="Orchard and its projects",
    commands=(
        Command(
            form="status [component]",
            purpose="Show system status, or what holds a project",
            answer=_status,
            completes=("project",),
            looks=True,
        ),
        Command(form="projects", purpose="List all projects", answer=_projects, looks=True),
        Command(
            form="register <name> <path>",
            purpose="Register a new project",
            answer=_register,
            completes=("", "path"),
        ),
        Command(
            form="discover <paths...>",
            purpose="Discover and register projects",
            answer=_discover,
            completes=("path",),
        ),
        Command(
            form="start <project>",
            purpose="Start a project orchestrator",
            answer=_start,
            completes=("project",),
        ),
        Command(
            form="stop <project>",
            purpose="Stop a project orchestrator, or a story",
            answer=_stop,
            completes=("project,story",),
        ),
        Command(
            form="maintain <project>",
            purpose="Stop a project while something outside is mended",
            answer=_maintain,
            completes=("project",),
        ),
        Command(
            form="archive <project> [yes]",
            purpose="Put a project away, with a file of it",
            answer=_archive,
            completes=("project", "yes"),
        ),
        Command(
            form="reopen <project>",
            purpose="Bring an archived project back",
            answer=_reopen,
            completes=("project",),
        ),
        Command(
            form="digest [project] [hours]",
            purpose="What happened since the last digest",
            answer=_digest,
            completes=("project",),
        ),
        Command(
            form="import <project> [look]",
            purpose="Take over another tool's .orch-state",
            answer=_import,
            completes=("project", "look"),
        ),
        Command(form="insights", purpose="Show cross-project insights", answer=_insights, looks=True),
    ),
)
