"""An alert as Slack's incoming webhooks take it: a text for notifications, and blocks. PURE.

Slack asks for &, < and > to be escaped ("Formatting text for app surfaces"), so that no text of ours is a
mention or a link; a section holds 3,000 characters, an element of a context 2,000. What an incoming webhook
posts cannot be edited, so a message says only what it is about: that it fires, got graver, or is over.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from core.domain.alert import Alert, AlertState, Severity
from core.domain.untrusted import one_line, visible
from core.monitoring.delivery.news import News

_SECTION, _ELEMENT = 2900, 1900
_SIGNS = {
    Severity.CRITICAL: ":red_circle:",
    Severity.WARNING: ":large_orange_circle:",
    Severity.INFO: ":large_blue_circle:",
}
_CHANNEL = re.compile(r"#.*|[CG][A-Z0-9]{7,}")  # a name as Slack writes it, or an id
_WORDS = {
    News.FIRST: "",
    News.GRAVER: "graver now",
    News.AGAIN: "still so, the silence is over",
    News.OVER: "over",
}


def payload(alert: Alert, news: News, channel: str | None = None) -> dict[str, Any]:
    """`channel`: where one webhook may post to several; those of Slack's apps are of one channel, and pass
    over it."""
    over = alert.state is AlertState.RESOLVED
    sign = ":white_check_mark:" if over else _SIGNS[alert.severity]
    head = " · ".join(
        part for part in (str(alert.severity), _WORDS.get(news, ""), alert.project or "") if part
    )
    summary = one_line(alert.summary, 1000)
    said = f"{sign} *{_escaped(head)}*\n{_escaped(summary, 1500)}"
    if alert.hint and not over:
        said += f"\n{_escaped(one_line(alert.hint, 1000), 1200)}"
    facts = [f"rule {alert.rule}", f"since {_moment(alert.since)}"]
    if over:
        facts.append(f"over {_moment(alert.changed_at)}")
    elif alert.count > 1:
        facts.append(f"{alert.count} breached, worst: {one_line(alert.worst, 200)}")
    made: dict[str, Any] = {
        "text": _escaped(f"{head}: {summary}", _SECTION),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": said[:_SECTION]}},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": " · ".join(map(_kept, facts))[:_ELEMENT]}],
            },
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }
    if channel:
        made["channel"] = channel if _CHANNEL.fullmatch(channel) else f"#{channel}"
    return made


def _kept(fact: str) -> str:
    """A date of ours stands as it is."""
    return fact if "<!date^" in fact else _escaped(fact, 500)


def _moment(at: datetime) -> str:
    """In each reader's own zone; in words where Slack cannot."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{at:%Y-%m-%d %H:%M} UTC>"


def _escaped(text: str, limit: int = 1000) -> str:
    """Cut before it is escaped, so that no escape is cut in two."""
    clean = visible(text)
    while len(made := clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) > limit:
        clean = clean[: len(clean) * limit // len(made)]
    return made
