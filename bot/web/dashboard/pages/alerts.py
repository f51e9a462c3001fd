"""What is wrong now, who looks at it, what was wrong, and what is watched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.web.dashboard import signs
from bot.web.dashboard.fragments import Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import Parts, act, heading, show
from core.domain.alert import ALERT, Alert, AlertFact, AlertState, Rule
from core.errors import InvalidInput
from core.orchestrator.commands.seeing import shown
from core.security.access import EVERY_PROJECT, Action
from core.store.alerts import absent

_NAME = "alerts"
_MOST = 200
_PAST = 30
_HOURS = {"1": 1, "24": 24}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    alerts: tuple[Alert, ...]  # the newest first, those that are over too
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    alert: Alert
    sign: str
    answerable: bool
    can_acknowledge: bool
    can_silence: bool
    can_unsilence: bool


def parts(picture: Picture, viewer: Viewer) -> Parts:
    seen = [one for one in picture.alerts if _sees(viewer, one)]
    past = [one for one in seen if one.state is AlertState.RESOLVED][:_PAST]
    told, pending = partition(in_order(seen))
    return {
        "open": drawn("alerts", open=[_shown(one, viewer) for one in told], pending=pending),
        "past": drawn("alerts_past", past=past),
        "rules": drawn("alerts_rules", rules=shown("alert_rules", picture.rules, viewer.sees)),
    }


def in_order(alerts: list[Alert]) -> list[Alert]:
    """Those that are open: what nobody has answered first, then the gravest, then the newest."""
    grave = list(signs.SEVERITY)
    told = (AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.PENDING, AlertState.SILENCED)
    found = [one for one in alerts if one.state is not AlertState.RESOLVED]
    return sorted(found, key=lambda one: (told.index(one.state), grave.index(one.severity)))


def partition(alerts: list[Alert]) -> tuple[list[Alert], list[Alert]]:
    """What was told, and what is out of its bounds and may yet come back before anybody is told."""
    pending = [one for one in alerts if one.state is AlertState.PENDING]
    return [one for one in alerts if one.state is not AlertState.PENDING], pending


def _shown(alert: Alert, viewer: Viewer) -> Shown:
    action = _action(alert)
    return Shown(
        alert=alert,
        sign=signs.SEVERITY[alert.severity],
        answerable=viewer.may(action, alert.project),
        can_acknowledge=(alert.state, AlertFact.ACKNOWLEDGED) in ALERT,
        can_silence=(alert.state, AlertFact.SILENCED) in ALERT,
        can_unsilence=alert.state is AlertState.SILENCED,
    )


def _sees(viewer: Viewer, alert: Alert) -> bool:
    """Of no project, or of many at once: whoever sees all of them."""
    return viewer.sees(alert.project or EVERY_PROJECT)


def _action(alert: Alert) -> Action:
    return Action.ANSWER_SYSTEM_ALERT if alert.project is None else Action.ANSWER_ALERT


async def build(viewer: Viewer) -> None:
    heading("Alerts")
    commands = viewer.house.runtime.commands

    async def look() -> Picture:
        alerts = await commands.alerts(open_only=False, pending=True, limit=_MOST)
        return Picture(alerts=alerts, rules=await commands.alert_rules())

    async def does(said: Said) -> None:
        await act(lambda: _answer(viewer, said))
        viewer.live.nudge(_NAME)

    view = View(name=_NAME, look=look, seconds=10)
    await show(viewer, view, lambda picture: parts(picture, viewer), does=does)


async def _answer(viewer: Viewer, said: Said) -> str:
    """Raises OrchardError; an alert that the viewer may not see is not there."""
    commands = viewer.house.runtime.commands
    alert = await commands.alert(said.get("alert", ""))
    if not _sees(viewer, alert):
        raise absent(alert.id)
    actor = (await viewer.admit(_action(alert), alert.project)).asker.name
    match said["do"]:
        case "acknowledge":
            await commands.acknowledge_alert(alert.id, actor=actor)
            return "You look at it: it is told again only when it resolves or becomes graver."
        case "silence" if said.get("hours") in _HOURS:
            until = viewer.house.runtime.clock.now() + timedelta(hours=_HOURS[said["hours"]])
            await commands.silence_alert(alert.id, until, actor=actor)
            return f"Silent until {until:%Y-%m-%d %H:%M} UTC."
        case "unsilence":
            await commands.unsilence_alert(alert.id, actor=actor)
            return "It is told again as it stands."
        case _:
            raise InvalidInput("This control is not known.", hint="Load the page again.")
