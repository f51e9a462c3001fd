"""Why a turn is over, in sentences for people. Pure."""

from __future__ import annotations

from datetime import datetime

from core.agents.faults import Fault, closing_limit, fault_of, hidden_fault
from core.agents.model_traffic import Traffic
from core.agents.setup import AgentSetup
from core.agents.turn import (
    TurnBlocked,
    TurnCancelled,
    TurnEnd,
    TurnEvent,
    TurnFailed,
    TurnIdle,
    TurnKind,
    TurnLimited,
)


class Ended(Exception):
    """The turn is over before its time; no fault of ours."""

    def __init__(
        self,
        kind: TurnKind,
        error: str = "",
        hint: str = "",
        until: datetime | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        super().__init__(error)
        self.kind = kind
        self.error = error
        self.hint = hint
        self.until = until
        self.at_once = at_once  # a command that did nothing before it failed: it never began


def failed(error: str, hint: str = "See the transcript.") -> Ended:
    return Ended(TurnKind.FAILED, error, hint)


def from_fault(fault: Fault, more: str = "") -> Ended:
    error = fault.error if fault.error.endswith((".", "!", "?")) else f"{fault.error}."
    return Ended(fault.kind, error, fault.hint + more, fault.until)


def missing(agent: AgentSetup) -> Ended:
    hint = "Install it, or mend its row in the configuration; `orchard doctor` tells what is missing."
    return failed(f"{agent.name}: there is no program {agent.argv[0]}.", hint)


def too_slow(agent: AgentSetup, stage: str, seconds: float, last_words: str) -> Ended:
    what = "answer `initialize`" if stage == "initialize" else "open a session"
    return failed(f"{agent.name} did not {what} within {seconds:g} s.", _speaks(agent) + last_words)


def no_message(agent: AgentSetup, stage: str, problem: str) -> Ended:
    return failed(f"{agent.name} answered {stage} with no ACP message: {problem}.", _speaks(agent))


def other_version(agent: AgentSetup, spoken: int, ours: int) -> Ended:
    error = f"{agent.name} speaks protocol version {spoken}; Orchard speaks ACP version {ours}."
    return failed(error, "Install a version of the agent that fits.")


def no_mode(agent: AgentSetup, offered: list[str]) -> Ended:
    error = f"{agent.name} has no session mode {agent.mode!r}; it offers {', '.join(offered)}."
    return failed(
        error, f"Set `mode` in the row of {agent.name} to the mode in which it asks before it acts."
    )


def exited(agent: AgentSetup, stage: str, code: int, last_words: str) -> Ended:
    """`code` is 128 + n after signal n."""
    how = f"was killed by signal {code - 128}" if code > 128 else f"exited with code {code}"
    if stage == "prompt":
        return failed(f"{agent.name} {how} in the middle of its turn.", f"See the transcript.{last_words}")
    hint = f"Run `{' '.join(agent.argv)}` by hand to see why.{last_words}"
    return failed(f"{agent.name} {how} before its turn began ({stage}).", hint)


def silent(agent: AgentSetup, seconds: float, doing: str) -> Ended:
    error = f"{agent.name} showed nothing for {seconds:g} s, so its turn was ended: {doing}."
    return failed(error, "It may be waiting for its model, or be stuck. See the transcript.")


def retrying_silently(agent: AgentSetup, times: int, said: str, now: datetime) -> Ended:
    """Its model refused so many calls in a row, and it says nothing of it."""
    fault = fault_of(agent.name, said, now)
    why = " ".join(said.split())[:500]
    error = f"{agent.name} was silent while its model refused {times} calls in a row: {why}"
    return Ended(fault.kind, error, fault.hint, fault.until)


def provider_stopped(agent: AgentSetup, traffic: Traffic) -> Ended:
    """The turn failed because the agent's provider takes no more work: no fault of the story, and whatever
    the agent makes of it, the gateway knows better."""
    provider = agent.gateway.provider if agent.gateway is not None else "its provider"
    error = f"{provider} takes no more work: {traffic.last_refusal}"
    return Ended(TurnKind.LIMITED, error, until=traffic.until)


def command_failed(agent: AgentSetup, code: int, said: str, printed: bool, now: datetime) -> Ended:
    """A plain command that exited with an error and changed nothing. `said`: the end of its output."""
    how = f"was killed by signal {code - 128}" if code > 128 else f"exited with code {code}"
    hint = "See the transcript." if printed else f"Run `{agent.argv[0]}` by hand to see why."
    fault = fault_of(agent.name, said, now)
    if fault.kind is not TurnKind.FAILED:
        return from_fault(fault)
    error = f"{agent.name} {how} and changed nothing{f': {said}' if said else '.'}"
    return Ended(TurnKind.FAILED, error, hint, at_once=not printed)


def deaf(agent: AgentSetup, seconds: float) -> Ended:
    error = (
        f"{agent.name} did not stop within {seconds:g} s to hear what a person said, so its turn was ended."
    )
    return failed(error, "The person's words go into its next turn. See the transcript.")


def from_answer(
    agent: AgentSetup, stop_reason: str, text: str, *, did_something: bool, now: datetime
) -> Ended:
    """What the prompt's answer means: a normal end can hide a failure when nothing was done."""
    if stop_reason == "refusal":
        return failed(f"{agent.name} refused to go on: {text[:300]}", "Reword the story.")
    if stop_reason == "cancelled":
        return failed(f"{agent.name} cancelled its own turn.")
    find = closing_limit if did_something else hidden_fault
    fault = find(agent.name, text, now)
    return Ended(TurnKind.IDLE) if fault is None else from_fault(fault)


def closing_event(end: TurnEnd) -> TurnEvent:
    if end.kind is TurnKind.IDLE:
        return TurnIdle(text=end.text)
    if end.kind is TurnKind.CANCELLED:
        return TurnCancelled()
    if end.kind is TurnKind.LIMITED:
        return TurnLimited(error=end.error, hint=end.hint, until=end.limited_until)
    if end.kind is TurnKind.BLOCKED:
        return TurnBlocked(error=end.error, hint=end.hint)
    return TurnFailed(error=end.error, hint=end.hint)


def _speaks(agent: AgentSetup) -> str:
    return f"Does `{' '.join(agent.argv)}` speak the Agent Client Protocol?"
