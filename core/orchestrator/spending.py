"""What a turn took, by its report: the turn itself, and the agent's own word where no gateway saw its calls.
PURE.

Agents mean different things by the same figures, which their rows say: the sum of the turn, of its last call
only, or of the session so far. Here each becomes what this turn took; a figure that cannot be is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.agents.setup import AgentSetup
from core.domain.budget import MOST
from core.gateway.prices import PriceRow, cost_of
from core.gateway.usage import Counts, Usage
from core.store.ledger import Call, Source, TurnTaken
from core.worker.contract import PhaseJob, PhaseReport

_MODEL_VARIABLES = ("ANTHROPIC_MODEL", "GEMINI_MODEL", "OPENAI_MODEL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What an agent said of a turn. `session`: its tokens are those of the whole session so far; its money
    always is. `microdollars` None: it named none."""

    usage: Usage
    session: bool
    microdollars: int | None
    model: str


def turn_id(job: PhaseJob) -> str:
    return f"{job.story.id}#{job.generation}"


def turn_taken(job: PhaseJob, report: PhaseReport, at: datetime) -> TurnTaken | None:
    """None where no agent worked."""
    seconds = report.seconds.get("agent")
    if seconds is None or not math.isfinite(seconds):
        return None
    return turn_of(job, min(max(seconds, 0.0), MOST / 1000), at)


def turn_of(job: PhaseJob, seconds: float, at: datetime) -> TurnTaken:
    return TurnTaken(
        turn_id=turn_id(job),
        project=job.project.name,
        story_id=None if job.epic else job.story.id,
        phase=job.phase.value,
        agent=job.agent.name,
        at=at,
        milliseconds=round(seconds * 1000),
    )


def session_of(job: PhaseJob, report: PhaseReport) -> str:
    """Under which id what an agent says of one session is recorded; the turn's own where it has none."""
    return f"{job.agent.name}:{report.session_id}" if report.session_id else turn_id(job)


def word_of(job: PhaseJob, report: PhaseReport) -> Word | None:
    """None where the gateway saw the calls itself, and where the agent says nothing that can be counted."""
    said = report.usage
    meaning = said.get("meaning")
    if job.model is not None or meaning not in _READERS:
        return None
    model = _model(said, job.agent)
    cost = said.get("usage_update")
    return Word(
        usage=_READERS[meaning](said),
        session=meaning == "session",
        microdollars=_microdollars(cost.get("cost") if isinstance(cost, Mapping) else None),
        model=model,
    )


def call_of(
    job: PhaseJob,
    report: PhaseReport,
    word: Word,
    at: datetime,
    *,
    earlier: Mapping[str, int],
    prices: Iterable[PriceRow],
) -> Call | None:
    """What is new in it since `earlier`: the figures of a Call that are recorded of this session, added up.
    None when that is nothing."""
    usage = _since(word.usage, earlier) if word.session else word.usage
    if word.microdollars is not None:
        before = earlier.get("microdollars", 0)
        money = word.microdollars - before if word.microdollars >= before else word.microdollars
    else:
        money = cost_of(usage, word.model, at.astimezone(UTC).date(), prices).micro_dollars
    if not usage.total_tokens and not money:
        return None
    return Call(
        call_id=f"word:{turn_id(job)}",
        project=job.project.name,
        story_id=None if job.epic else job.story.id,
        phase=job.phase.value,
        agent=job.agent.name,
        run_id=session_of(job, report),
        provider="",
        model=word.model,
        wire="",
        at=at,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        microdollars=min(money, MOST),
        source=Source.AGENT,
    )


_FIGURES = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def _since(usage: Usage, earlier: Mapping[str, int]) -> Usage:
    """A session that counts less than before has begun to count anew."""
    now = {name: getattr(usage, name) for name in _FIGURES}
    if any(now[name] < earlier.get(name, 0) for name in _FIGURES):
        return usage
    return Usage(**{name: now[name] - earlier.get(name, 0) for name in _FIGURES})


def _answers(said: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """What each prompt of a steered turn was answered, in order."""
    earlier = said.get("earlier")
    found = [*(earlier if isinstance(earlier, list) else []), said]
    return [each[key] for each in found if isinstance(each, Mapping) and isinstance(each.get(key), Mapping)]


def _prompt(raw: Mapping[str, Any]) -> Usage:
    """Of ACP's `usage`. Some count what came from a cache, and thoughts, into the other figures; their total
    gives that away."""
    counts = Counts(raw)
    prompt, written = counts.optional("input_tokens"), counts.optional("output_tokens")
    read, kept = counts.optional("cached_read_tokens"), counts.optional("cached_write_tokens")
    thought, total = counts.optional("thought_tokens"), counts.optional("total_tokens")
    if total and total < prompt + written + read + kept and prompt >= read + kept:
        prompt -= read + kept
    if total >= prompt + written + read + kept + thought:
        written += thought
    return Usage(
        input_tokens=prompt,
        output_tokens=written,
        cache_read_tokens=read,
        cache_write_tokens=kept,
        reasoning_tokens=min(thought, written),
        known=not counts.faulty,
    )


def _sum(said: Mapping[str, Any]) -> Usage:
    return sum((_prompt(each) for each in _answers(said, "prompt")), Usage())


def _last(said: Mapping[str, Any]) -> Usage:
    found = _answers(said, "prompt")
    return _prompt(found[-1]) if found else Usage()


def _quota(said: Mapping[str, Any]) -> Usage:
    """Of `_meta.quota.token_count`, as Gemini CLI says it."""
    usage = Usage()
    for meta in _answers(said, "meta"):
        counts = Counts(meta)
        usage += Usage(
            input_tokens=counts.optional("quota", "token_count", "input_tokens"),
            output_tokens=counts.optional("quota", "token_count", "output_tokens"),
            known=not counts.faulty,
        )
    return usage


_READERS = {
    "turn": _sum,
    "last_call": _sum,  # too low: the other calls of the turn are not told
    "session": _last,
    "meta": _quota,
}


def _model(said: Mapping[str, Any], agent: AgentSetup) -> str:
    """By the agent, where its turn used one only; else the one that it was told to use."""
    named = set()
    for meta in _answers(said, "meta"):
        quota = meta.get("quota")
        used = quota.get("model_usage") if isinstance(quota, Mapping) else None
        for each in used if isinstance(used, list) else []:
            if isinstance(each, Mapping) and isinstance(each.get("model"), str):
                named.add(each["model"])
    if len(named) == 1:
        return str(named.pop())[:200]
    return next((agent.environment[key] for key in _MODEL_VARIABLES if agent.environment.get(key)), "")


def _microdollars(cost: object) -> int | None:
    if not isinstance(cost, Mapping) or cost.get("currency") != "USD":
        return None
    amount = cost.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not math.isfinite(amount):
        return None
    return round(amount * 1_000_000) if 0 <= amount * 1_000_000 <= MOST else None
