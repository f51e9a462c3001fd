"""What the terminal shows of questions to people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.marks import clean, done, indented, next_step, when
from core.domain.approval import what_then, who_may

if TYPE_CHECKING:
    from core.domain.approval import Approval


def approvals(pending: Sequence[Approval], *, in_shell: bool = False) -> RenderableType:
    """Blocks, since questions and reasons are long."""
    if not pending:
        return Text("Nothing waits for an answer.")
    parts: list[RenderableType] = [Text("Waits for you:", style="bold")]
    for approval in pending:
        parts.append(
            Text.assemble(
                "  ", (approval.id, "bold"), f"  {approval.story_id}, asked {when(approval.asked_at)}"
            )
        )
        parts.append(indented(approval.question, by=4))
        parts.append(indented("\n".join(_facts(approval)), "dim", by=4))
    first = pending[0].id
    show, reject = (
        (f"show {first}", f"reject {first} REASON")
        if in_shell
        else (f"approve {first} --show", f"approve {first} --reject REASON")
    )
    parts.append(next_step("What it is about", show, in_shell=in_shell))
    parts += [next_step("", line, in_shell=in_shell) for line in (f"approve {first}", reject)]
    return Group(*parts)


def _facts(approval: Approval) -> list[str]:
    """Why people are asked, who may answer, until when, and what then; or what the answer was."""
    facts = [f"Why you: {'; '.join(approval.reasons)}"] if approval.reasons else []
    if approval.answered_at is not None:
        because = f": {approval.reason}" if approval.reason else ""
        by = f"{str(approval.state).capitalize()} by {approval.answered_by}"
        return [*facts, f"{by}, {when(approval.answered_at)}{because}"]
    facts.append(f"Who may answer in Discord: {who_may(approval)}")
    if approval.due_at is not None:
        facts.append(f"Until {when(approval.due_at)}; unanswered by then, {what_then(approval)}")
    return facts


def approval(value: Approval, *, in_shell: bool = False) -> RenderableType:
    """With the whole command or diff."""
    detail = Text()
    for line in clean(value.detail).splitlines():
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        detail.append(f"{line}\n", style=style)
    if value.answered_at is None:
        return Group(detail, approvals([value], in_shell=in_shell))
    return Group(detail, done(f"{value.story_id} is {value.state}."), indented("\n".join(_facts(value))))


def answered(approval: Approval) -> RenderableType:
    reason = f": {approval.reason}" if approval.reason else ""
    return done(f"{approval.story_id} is {approval.state}{reason}.")
