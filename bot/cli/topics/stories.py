"""Words for stories at work."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.cli import output_stories as output
from bot.cli import questions
from bot.cli.command import Asked, Command, Misused, Told, Topic
from core.domain.lifecycles import Phase
from core.domain.way_back import command_of
from core.errors import NotFound
from core.orchestrator.views import StoryView

_PHASES = {command_of(phase): phase for phase in Phase} | {phase.value: phase for phase in Phase}
_PHASE_WORDS = tuple(command_of(phase) for phase in Phase)
_EVENTS = 200


async def _cycles(asked: Asked) -> Told:
    view = await asked.commands.cycles(asked.words[0])
    return Told(value=view, shown=output.cycles(view, datetime.now(UTC), in_shell=asked.in_shell))


async def _story(asked: Asked) -> Told:
    detail = await asked.commands.story(asked.words[0])
    return Told(value=detail, shown=output.story(detail, in_shell=asked.in_shell))


async def _log(asked: Asked) -> Told:
    if len(asked.words) > 1 and asked.words[1].lower() != "all":
        raise Misused(f"'{asked.words[1]}' is too much.", hint="Use: log <story> [all]")
    return await story_log(asked, whole=len(asked.words) > 1)


async def story_log(asked: Asked, *, whole: bool) -> Told:
    """What happened to a story, and what was said in its last turn: its end, or all of it."""
    story = asked.words[0]
    events = await asked.commands.story_log(story, limit=_EVENTS)
    try:
        said = await asked.commands.transcript(story)
    except NotFound:  # no agent has worked on it yet
        said = ""
    name = story.strip().lower()
    shown = output.log(name, events, said, whole=whole, in_shell=asked.in_shell)
    return Told(value={"events": events, "transcript": said}, shown=shown)


async def _go(asked: Asked) -> Told:
    return _moved(await asked.commands.start_story(asked.words[0], actor=asked.actor))


async def _next(asked: Asked) -> Told:
    return _moved(await asked.commands.next_phase(asked.words[0], actor=asked.actor))


async def _phase(asked: Asked) -> Told:
    """`phase shop-1 code` and `phase code shop-1` are the same."""
    story, word = asked.words[:2]
    if story.lower() in _PHASES:
        story, word = word, story
    phase = _PHASES.get(word.lower())
    if phase is None:
        raise Misused(f"'{word}' is no phase.", hint=f"Phases: {', '.join(_PHASE_WORDS)}.")
    return _moved(await asked.commands.run_phase(story, phase, asked.rest(2), actor=asked.actor))


async def _steer(asked: Asked) -> Told:
    view = await asked.commands.steer_story(asked.words[0], asked.rest(1), actor=asked.actor)
    return Told(value=view, shown=output.steered(view))


async def _takeover(asked: Asked) -> Told:
    taken = await asked.commands.take_over(asked.words[0], actor=asked.actor)
    return Told(value=taken, shown=output.taken(taken, in_shell=asked.in_shell))


async def _handback(asked: Asked) -> Told:
    return _moved(await asked.commands.hand_back(asked.words[0], asked.rest(1), actor=asked.actor))


async def _fix(asked: Asked) -> Told:
    return _moved(await asked.commands.suggest_fix(asked.words[0], asked.rest(1), actor=asked.actor))


async def _skip(asked: Asked) -> Told:
    return _moved(await asked.commands.skip_story(asked.words[0], asked.rest(1), actor=asked.actor))


async def _abort(asked: Asked) -> Told:
    return _moved(await asked.commands.abort_story(asked.words[0], asked.rest(1), actor=asked.actor))


def _moved(view: StoryView) -> Told:
    return Told(value=view, shown=output.story_moved(view))


async def _tests(asked: Asked) -> Told:
    word = asked.words[0]
    if await questions.is_project(asked.commands, word):
        ran = await asked.commands.run_tests(word, actor=asked.actor)
    else:
        view = (await asked.commands.story(word)).view
        ran = await asked.commands.run_tests(view.story.project, view.story.id, actor=asked.actor)
    return Told(value=ran, shown=output.tests_ran(ran), good=output.tests_good(ran))


STORIES = Topic(
    title="Stories at work",
    commands=(
        Command(
            form="cycles <project>",
            purpose="Phases, tries, times, overlaps, merge queue",
            answer=_cycles,
            completes=("project",),
            looks=True,
        ),
        Command(
            form="story <story>",
            purpose="Show a story and its gates' evidence",
            answer=_story,
            completes=("story",),
            looks=True,
        ),
        Command(
            form="log <story> [all]",
            purpose="What happened, and the last turn's words",
            answer=_log,
            completes=("story", "all"),
            looks=True,
        ),
        Command(
            form="go <story>",
            purpose="Let a stopped story go on; one more into the sprint",
            answer=_go,
            completes=("story",),
        ),
        Command(form="next <story>", purpose="One phase, then stop", answer=_next, completes=("story",)),
        Command(
            form="phase <story> <phase> [reason...]",
            purpose=f"Run {', '.join(_PHASE_WORDS)} now or again",
            answer=_phase,
            completes=("story", "|".join(_PHASE_WORDS), ""),
        ),
        Command(
            form="steer <story> <text...>",
            purpose="Tell its agent something while it works",
            answer=_steer,
            completes=("story", ""),
        ),
        Command(
            form="takeover <story>",
            purpose="Work in its folder yourself",
            answer=_takeover,
            completes=("story",),
        ),
        Command(
            form="handback <story> [note...]",
            purpose="Give it back: the gate judges what you left",
            answer=_handback,
            completes=("story", ""),
        ),
        Command(
            form="fix <story> <text...>",
            purpose="Help a blocked story with a suggestion",
            answer=_fix,
            completes=("story", ""),
        ),
        Command(
            form="skip <story> [reason...]",
            purpose="Take a story out of its sprint",
            answer=_skip,
            completes=("story", ""),
        ),
        Command(
            form="abort <story> <reason...>",
            purpose="End a story for good, as a failure",
            answer=_abort,
            completes=("story", ""),
        ),
        Command(
            form="tests <project|story>",
            purpose="Run the whole suite now",
            answer=_tests,
            completes=("project,story",),
        ),
    ),
)
