"""Approvals and threads as messages, and how people are named. PURE. Events are in `notices`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cogs.access import LEVEL_WORDS
from cogs.buttons import answer_buttons
from cogs.message import Attachment, Button, Card, Field, Look, Message, Tone
from cogs.text import code, fence, length, one_line, plain, title, visible
from core.domain.approval import Approval, ApprovalKind, ApprovalState, Circle, Lapse, lapse

DETAIL_SHOWN = 2500  # characters of a diff that stand in the message; the whole is attached

_APPROVAL_LOOKS = {
    ApprovalState.PENDING: ("✋", Tone.ASK),
    ApprovalState.APPROVED: ("👍", Tone.GOOD),
    ApprovalState.REJECTED: ("👎", Tone.BAD),
    ApprovalState.CANCELLED: ("🚫", Tone.QUIET),
}


def approval(asked: Approval, story_title: str = "") -> Message:
    """The question with its buttons while it is pending, with its answer and none afterwards."""
    sign, tone = _APPROVAL_LOOKS[asked.state]
    attachments: tuple[Attachment, ...] = ()
    body = plain(asked.question, 1200)
    if asked.detail.strip():
        shown = visible(asked.detail)
        body += "\n" + fence(asked.detail, _language(asked), DETAIL_SHOWN)
        if length(shown) > DETAIL_SHOWN - 20 or "```" in shown:
            attachments = (Attachment(name=_file_name(asked), text=asked.detail),)
            body += f"\nThe whole of it is attached: {code(_file_name(asked))}."
    fields: list[Field] = []
    if asked.reasons:
        reasons = "\n".join(f"• {plain(reason)}" for reason in asked.reasons)
        fields.append(Field(name="Why you are asked", value=reasons))
    if asked.state is ApprovalState.PENDING:
        fields.append(Field(name="Who may answer", value=who_may(asked)))
        fields.append(Field(name="Until when", value=_until(asked)))
    else:
        fields.append(Field(name="Answer", value=answer_line(asked)))
    heading = f"{sign} {asked.story_id}"
    if story_title:
        heading += f" · {title(story_title, 150)}"
    return Message(
        cards=(Card(title=heading, body=body, fields=tuple(fields), tone=tone),),
        attachments=attachments,
        buttons=answer_buttons(asked.id) if asked.state is ApprovalState.PENDING else (),
    )


def answer_line(asked: Approval) -> str:
    """What was answered, by whom, when and why."""
    by = f" by {who(asked.answered_by)}" if asked.answered_by else ""
    because = f"\n{plain(asked.reason, 900)}" if asked.reason else ""
    when = f" {moment(asked.answered_at)}" if asked.answered_at else ""
    return f"**{str(asked.state).capitalize()}**{by}{when}{because}"


def who_may(asked: Approval) -> str:
    """Who may answer, with mentions of those who are named; a mention in a card pings nobody."""
    return ", ".join(dict.fromkeys(words for circle in asked.circles for words in _circle(circle)))


def may_not(asked: Approval, steering: Iterable[str] = ()) -> Message:
    """What somebody is told whose answer does not count. `steering`: roles that may steer; none: all may."""
    roles = ", ".join(title(role, 60) for role in sorted(steering))
    hint = "Ask one of them; the question stays open."
    if roles:
        hint += f" These roles may steer Orchard: {roles}."
    fields = (Field(name="Who may", value=who_may(asked)), Field(name="What you can do", value=hint))
    body = f"⚠️ You may not answer this question about {code(asked.story_id)}."
    return Message(cards=(Card(body=body, fields=fields, tone=Tone.BAD),))


def _circle(circle: Circle) -> list[str]:
    shown = [f"<@&{role}>" if role.isdigit() else f"**@{title(role, 100)}**" for role in circle.roles[:20]]
    shown += [f"<@{person}>" for person in circle.people[:20]]
    if (left := len(circle.roles) + len(circle.people) - len(shown)) > 0:
        shown.append(f"{left} more")
    return [*shown, LEVEL_WORDS[circle.enough]]


def _until(asked: Approval) -> str:
    if asked.due_at is None:
        return "Whenever you can: it stays open. The story waits for it."
    then = {
        Lapse.DENY: "it is denied",
        Lapse.ESCALATE: f"these are asked as well: {', '.join(_circle(asked.escalation))}",
        Lapse.REMIND: "you are reminded once, and it stays open",
    }[lapse(asked)]
    return f"{moment(asked.due_at)}. Unanswered by then, {then}."


def resume_button(project: str) -> Button:
    """Ends a usage pause."""
    return Button(label="Resume", verb="resume", target=project, look=Look.PRIMARY)


def thread_opener(story_id: str, story_title: str) -> Message:
    """The message in the project's channel that a story's thread hangs off."""
    named = f" **{title(story_title, 200)}**" if story_title else ""
    return Message(text=f"🧵 {code(story_id)}{named}")


def thread_name(story_id: str, story_title: str) -> str:
    return one_line(f"{story_id} {story_title}".strip(), 100)


def moment(at: datetime) -> str:
    """A time in each reader's own zone, and how far off it is."""
    return f"<t:{int(at.timestamp())}:t> (<t:{int(at.timestamp())}:R>)"


def who(actor: str | None) -> str:
    """A person as Discord shows them, without pinging: the mention is in an embed."""
    if not actor:
        return "somebody"
    kind, _, name = actor.partition(":")
    if kind == "discord" and name.isdigit():
        return f"<@{name}>"
    return {"cli": "the command line", "shell": "the shell"}.get(actor) or plain(actor, 60)


def helped(by: str, text: str) -> str:
    return f"{who(by)} suggests: {plain(text)}"


def reviewed(by: str, text: str) -> str:
    return f"{who(by)} closed the sprint: {plain(text, 900)}"


def changes(by: str, text: str, added: Sequence[str]) -> str:
    return f"{who(by)} asks for changes: {plain(text, 900)}\nIn the backlog: {', '.join(map(code, added))}."


def review_buttons(project: str) -> tuple[Button, ...]:
    return (
        Button(label="Feedback", verb="feedback", target=project, look=Look.PRIMARY),
        Button(label="Request changes", verb="request_changes", target=project),
    )


def skipped(by: str, reason: str = "") -> str:
    return f"Skipped by {who(by)}." + (f" {plain(reason)}" if reason else "")


def _language(asked: Approval) -> str:
    return "diff" if asked.kind is ApprovalKind.MERGE else ""


def _file_name(asked: Approval) -> str:
    return f"{asked.story_id}.diff" if asked.kind is ApprovalKind.MERGE else f"{asked.story_id}.txt"
