"""Words for agents' sessions."""

from __future__ import annotations

from bot.cli import output_sessions as output
from bot.cli.command import Asked, Command, Misused, Told, Topic


async def _sessions(asked: Asked) -> Told:
    found = await asked.commands.sessions(asked.words[0] if asked.words else None)
    return Told(value=found, shown=output.sessions(found, in_shell=asked.in_shell))


async def _session(asked: Asked) -> Told:
    if len(asked.words) > 1 and asked.words[1].lower() != "all":
        raise Misused(f"'{asked.words[1]}' is too much.", hint="Use: session <id> [all]")
    detail = await asked.commands.session(asked.words[0])
    whole = len(asked.words) > 1
    return Told(value=detail, shown=output.session(detail, whole=whole, in_shell=asked.in_shell))


async def _search(asked: Asked) -> Told:
    words, project = list(asked.words), None
    if len(words) > 2 and words[0].lower() == "in":
        project, words = words[1], words[2:]
    view = await asked.commands.search_sessions(output.query_of(words), project=project)
    return Told(value=view, shown=output.found(view, in_shell=asked.in_shell))


async def _fork(asked: Asked) -> Told:
    made = await asked.commands.fork_session(asked.words[0], asked.words[1], actor=asked.actor)
    return Told(value=made, shown=output.forked(made))


async def _link(asked: Asked) -> Told:
    made = await asked.commands.link_session(asked.words[0], asked.words[1], actor=asked.actor)
    return Told(value=made, shown=output.linked(made))


async def _unlink(asked: Asked) -> Told:
    made = await asked.commands.unlink_session(asked.words[0], asked.words[1], actor=asked.actor)
    return Told(value=made, shown=output.linked(made))


SESSIONS = Topic(
    title="What agents were told and said",
    commands=(
        Command(
            form="sessions [project|story]",
            purpose="Agents' sessions, the latest first",
            answer=_sessions,
            completes=("project,story",),
            looks=True,
        ),
        Command(
            form="session <id> [all]",
            purpose="One session: its turns, prompt and words",
            answer=_session,
            completes=("story", "all"),
            looks=True,
        ),
        Command(
            form="search <words...>",
            purpose="Find turns by their words; in shop ...: one project",
            answer=_search,
            looks=True,
        ),
        Command(
            form="fork <session> <story>",
            purpose="Let a new story go on from another's session",
            answer=_fork,
            completes=("story", "story"),
        ),
        Command(
            form="link <story> <other>",
            purpose="Tell its agents what another story came to",
            answer=_link,
            completes=("story", "story"),
        ),
        Command(
            form="unlink <story> <other>",
            purpose="Take a link away",
            answer=_unlink,
            completes=("story", "story"),
        ),
    ),
)
