"""Alerts as messages: one with its buttons, and the list of them. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cogs.message import Button, Card, Choice, Field, Look, Message, Select, Tone, paginate
from cogs.render import paged
from cogs.text import code, count, one_line, plain, title, told
from core.domain.alert import Alert, AlertState, Route, Severity
from core.store.alert_tellings import Trouble

EVERY = "*"

_SIGNS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}
_TONES = {Severity.CRITICAL: Tone.BAD, Severity.WARNING: Tone.ASK, Severity.INFO: Tone.NEUTRAL}
_ROUTES: Mapping[Route, str] = {
    Route.GUILD: "in this server",
    Route.PROJECT: "in a project's channel",
    Route.DIRECT: "in private",
    Route.WEBHOOK: "by the webhook",
    Route.SLACK: "in Slack",
}
_ANSWERED: Mapping[AlertState, str] = {
    AlertState.ACKNOWLEDGED: "👀",
    AlertState.SILENCED: "🔕",
    AlertState.RESOLVED: "✅",
    AlertState.PENDING: "⏳",
}


def alert(one: Alert, *, buttons: bool = True) -> Message:
    """The alert as it stands, with what can be done about it."""
    heading = f"{_sign(one)} {one.severity.capitalize()}"
    heading += f" · {title(one.project, 60)}" if one.project else " · Orchard itself"
    body = f"**{plain(one.summary, 1500)}**"
    if one.hint and one.state is not AlertState.RESOLVED:
        body += f"\n{plain(one.hint, 1500)}"
    fields = [Field(name="State", value=state(one)), Field(name="Since", value=_moment(one), inline=True)]
    if one.count > 1:
        worst = f", the worst: {plain(one.worst, 200)}" if one.worst else ""
        fields.append(Field(name="Breached", value=f"{count(one.count, 'series', 'series')}{worst}"))
    tone = _TONES[one.severity] if one.state is AlertState.FIRING else Tone.QUIET
    if one.state is AlertState.RESOLVED:
        tone = Tone.GOOD
    card = Card(title=heading, body=body, fields=tuple(fields), tone=tone, footer=mark(one))
    return Message(cards=(card,), buttons=alert_buttons(one) if buttons else ())


def mark(one: Alert) -> str:
    """What a post of the alert is known by."""
    return f"{one.id} · {one.severity}"


def marked(footer: str, alert_id: str) -> Severity | None:
    """The severity with which a post of this alert was made; None: it is no such post. Raises nothing."""
    known, _, severity = footer.partition(" · ")
    if known != alert_id:
        return None
    return next((each for each in Severity if each.value == severity), None)


def alert_buttons(one: Alert) -> tuple[Button, ...]:
    """What fits its state: nothing once it is over."""
    silence = (
        Button(label="Silence for 1 h", verb="silence", target=f"{one.id}:hour"),
        Button(label="Silence until tomorrow", verb="silence", target=f"{one.id}:tomorrow"),
    )
    if one.state is AlertState.FIRING:
        look = Button(label="Acknowledge", verb="acknowledge", target=one.id, look=Look.PRIMARY)
        return (look, *silence)
    if one.state in (AlertState.ACKNOWLEDGED, AlertState.PENDING):
        return silence
    if one.state is AlertState.SILENCED:
        return (Button(label="End the silence", verb="unsilence", target=one.id),)
    return ()


def state(one: Alert) -> str:
    """In a sentence, with who did it."""
    by = f" by {told(one.by, 60)}" if one.by else ""
    if one.state is AlertState.ACKNOWLEDGED:
        return f"Acknowledged{by}: it is told again when it is over, or becomes graver."
    if one.state is AlertState.SILENCED:
        until = f" until <t:{int(one.until.timestamp())}:f>" if one.until else ""
        return f"Silenced{by}{until}"
    if one.state is AlertState.RESOLVED:
        return f"Over <t:{int(one.changed_at.timestamp())}:R>"
    if one.state is AlertState.PENDING:
        return "Not for long enough yet"
    return "Nobody looks at it yet"


def told_again(link: str) -> Message:
    """What stays of a post after a newer one of the same alert."""
    return Message(cards=(Card(body=f"↪️ Told again: {link}", tone=Tone.QUIET),))


def bare(one: Alert) -> Message:
    """For a server that does not take the card."""
    where = one.project or "Orchard"
    return Message(text=f"{_sign(one)} {where}: {one_line(plain(one.summary, 1500), 1500)}")


def listed(
    found: Sequence[Alert],
    troubles: Sequence[Trouble] = (),
    *,
    project: str | None,
    closed: bool,
    page: int = 0,
    more: bool = False,
) -> Message:
    """`found`: the newest first. `troubles`: what cannot be told. `closed`: also those that are over. `more`:
    there are older ones."""
    where = f" of {project}" if project else ""
    heading = f"Alerts{where}" if closed else f"Open alerts{where}"
    trouble = "\n".join(map(_trouble, troubles))
    if not found:
        body = "\n".join(part for part in (trouble, "✅ There is none.") if part)
        return Message(cards=(Card(title=heading, body=body, tone=Tone.ASK if trouble else Tone.GOOD),))
    lines = tuple(_line(each, named=project is None) for each in found)
    older = "There are older ones: the web and the command line show them." if more else ""
    head = "\n".join(part for part in (trouble, older) if part)
    argument = f"{project or EVERY}:{'a' if closed else 'o'}"
    firing = [each for each in found if each.state is AlertState.FIRING]
    tone = min((_TONES[each.severity] for each in firing), key=_graveness, default=Tone.QUIET)
    made = paged(heading, head, lines, page, what="alerts", argument=argument, tone=tone)
    pages = paginate(lines)  # as they stand on the page, so that the select offers these
    page = min(max(page, 0), len(pages) - 1)
    first = sum(map(len, pages[:page]))
    shown = found[first : first + len(pages[page])]
    choices = tuple(
        Choice(
            value=each.id,
            label=f"{_sign(each)} {one_line(each.summary, 90)}",
            more=f"{each.project or 'Orchard itself'} · {each.rule}",
        )
        for each in shown
    )
    return replace(
        made, select=Select(verb="alert", target=EVERY, placeholder="Look at one…", choices=choices)
    )


def _trouble(one: Trouble) -> str:
    return f"⚠️ {one.waiting} not told ({_ROUTES[one.route]}): {plain(one.error, 300)}"


def _graveness(tone: Tone) -> int:
    return (Tone.BAD, Tone.ASK, Tone.NEUTRAL).index(tone)


def _line(one: Alert, *, named: bool) -> str:
    where = f"{code(one.project, 60) if one.project else '**Orchard**'} " if named else ""
    crowd = f" ({one.count} series)" if one.count > 1 else ""
    return f"{_sign(one)} {where}{plain(one.summary, 200)}{crowd}\n  {state(one)} · since {_moment(one)}"


def _sign(one: Alert) -> str:
    return _ANSWERED.get(one.state) or _SIGNS[one.severity]


def _moment(one: Alert) -> str:
    return f"<t:{int(one.since.timestamp())}:R>"
