"""What is told of hosts that agents and set-ups were refused. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.discord.notice import Data, Notice, Place, Render, say, text
from cogs.buttons import why_button
from cogs.message import Field, Tone
from cogs.text import code, count, plain
from core.domain.event import Event, EventKind

HOSTS_SHOWN = 10


def refused(event: Event, denials: Sequence[Event]) -> Notice:
    """One post for all of `denials`, oldest first, in place of one each. `event`: the one it stands at."""
    what = "The set-up" if text(event.data, "what") == "setup" else "Its agent"
    epic = text(event.data, "epic")
    of = f" of epic {code(epic, 60)}" if epic else f" of {code(event.project or '', 60)}"
    who = f"{what}{of if event.story_id is None else ''}"
    lines = [f"• {_where(one.data)}: {plain(text(one.data, 'why'), 300)}" for one in denials[:HOSTS_SHOWN]]
    if len(denials) > HOSTS_SHOWN:
        lines.append(f"… and {len(denials) - HOSTS_SHOWN} more")
    setting = "setup_network_allow" if text(event.data, "what") == "setup" else "network_allow"
    hints = dict.fromkeys(plain(text(one.data, "hint"), 200) for one in denials if text(one.data, "hint"))
    added = " ".join(list(hints)[:3])
    now = f"It is meant to be so, unless the work needs it. {added} The list is {code(setting)} of the "
    return say(
        f"🚪 {who} was refused {count(len(denials), 'host')} by the allow-list.\n" + "\n".join(lines),
        place=Place.THREAD if event.story_id else Place.CHANNEL,
        tone=Tone.ASK,
        fields=(Field(name="What now", value=f"{now}project in {code('orch-config.yaml')}."),),
        buttons=(why_button(event.story_id),) if event.story_id else (),
    )


def _where(data: Data) -> str:
    if not text(data, "host"):
        return "a request that could not be read"
    return code(f"{text(data, 'host')}:{text(data, 'port')}", 120)


def _network_denied(event: Event, data: Data, _: str) -> Notice:
    return refused(event, (event,))


NETWORK: Mapping[EventKind, Render] = {EventKind.NETWORK_DENIED: _network_denied}
