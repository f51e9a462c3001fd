"""Words for what waits for a person's yes or no."""

from __future__ import annotations

from bot.cli import output_answers as output
from bot.cli import questions
from bot.cli.command import Asked, Command, Told, Topic
from bot.cli.output_epics import approved
from core.domain.approval import Approval


async def _approvals(asked: Asked) -> Told:
    pending = await asked.commands.approvals()
    return Told(value=pending, shown=output.approvals(pending, in_shell=asked.in_shell))


async def _show(asked: Asked) -> Told:
    chosen = await questions.resolve_approval(asked.commands, asked.words[0])
    value = await asked.commands.approval(chosen)
    return Told(value=value, shown=output.approval(value, in_shell=asked.in_shell))


async def _approve(asked: Asked) -> Told:
    said_yes = await questions.approve(asked.commands, asked.words, actor=asked.actor)
    if isinstance(said_yes, Approval):
        return Told(value=said_yes, shown=output.answered(said_yes))
    return Told(value=said_yes, shown=approved(said_yes, in_shell=asked.in_shell))


async def _reject(asked: Asked) -> Told:
    chosen = await questions.resolve_approval(asked.commands, asked.words[0])
    answered = await asked.commands.answer_approval(chosen, False, reason=asked.rest(1), actor=asked.actor)
    return Told(value=answered, shown=output.answered(answered))


ANSWERS = Topic(
    title="What waits for you",
    commands=(
        Command(form="approvals", purpose="Show what waits for an answer", answer=_approvals, looks=True),
        Command(
            form="show <approval>",
            purpose="Show the whole command or diff",
            answer=_show,
            completes=("approval",),
            looks=True,
        ),
        Command(
            form="approve <what...>",
            purpose="Say yes: a question, proposed stories, an epic's, a project's",
            answer=_approve,
            completes=("approval,proposal,epic,project", "proposal"),
        ),
        Command(
            form="reject <approval> <reason...>",
            purpose="Reject, and say why",
            answer=_reject,
            completes=("approval", ""),
        ),
    ),
)
