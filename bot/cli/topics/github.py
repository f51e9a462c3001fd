"""The word for GitHub."""

from __future__ import annotations

from bot.cli import output_github as output
from bot.cli.command import Asked, Command, Misused, Told, Topic

_FORM = "github [status|link|unlink|sync|notes|hook] [project] [repository]"


async def _github(asked: Asked) -> Told:
    what = asked.words[0].lower() if asked.words else "status"
    rest = asked.words[1:]
    wanted = {"status": (0, 1), "link": (2, 2), "notes": (1, 2)}.get(what, (1, 1))
    if what not in _WAYS or not wanted[0] <= len(rest) <= wanted[1]:
        raise Misused(f"'github {' '.join(asked.words)}' cannot be done.", hint=f"Use: {_FORM}")
    return await _WAYS[what](asked, rest)


async def _status(asked: Asked, words: tuple[str, ...]) -> Told:
    found = await asked.commands.repositories(words[0] if words else None)
    return Told(value=found, shown=output.status(found, in_shell=asked.in_shell))


async def _link(asked: Asked, words: tuple[str, ...]) -> Told:
    made = await asked.commands.link_repository(words[0], words[1], actor=asked.actor)
    return Told(value=made, shown=output.linked(made, in_shell=asked.in_shell))


async def _unlink(asked: Asked, words: tuple[str, ...]) -> Told:
    gone = await asked.commands.unlink_repository(words[0], actor=asked.actor)
    return Told(value={"unlinked": gone}, shown=output.unlinked(words[0], gone))


async def _sync(asked: Asked, words: tuple[str, ...]) -> Told:
    made = await asked.commands.sync_repository(words[0], actor=asked.actor)
    return Told(value=made, shown=output.synced(made, in_shell=asked.in_shell))


async def _notes(asked: Asked, words: tuple[str, ...]) -> Told:
    number = words[1] if len(words) > 1 else ""
    if number and not (number.isdecimal() and 0 < int(number) <= 100_000):
        raise Misused(f"'{number}' is no sprint's number.", hint="Use: github notes <project> [sprint]")
    made = await asked.commands.release_notes(words[0], int(number) if number else None)
    return Told(value=made, shown=output.notes(made))


async def _hook(asked: Asked, words: tuple[str, ...]) -> Told:
    made = await asked.commands.repository_hook(words[0])
    return Told(value=made, shown=output.hook(made))


_WAYS = {
    "status": _status,
    "link": _link,
    "unlink": _unlink,
    "sync": _sync,
    "notes": _notes,
    "hook": _hook,
}
GITHUB = Topic(
    title="GitHub",
    commands=(
        Command(
            form=_FORM,
            purpose="A project's repository: look, link, sync, release notes",
            answer=_github,
            completes=("|".join(_WAYS), "project"),
        ),
    ),
)
