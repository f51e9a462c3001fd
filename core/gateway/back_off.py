"""When the next call with a key may go, once its provider has refused one. PURE.

One state for a provider and key, whichever project asks: a limit is the key's. Times are monotonic seconds
and given by the caller, as is the jitter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.gateway.refusal import LONGEST, RefusalKind

FIRST_SECONDS = 1.0
CAP_SECONDS = 60.0
PROBE_SECONDS = 10.0  # for so long one call goes ahead alone, to see whether the provider answers again
HOLDS_BACK = frozenset(
    {RefusalKind.RATE_LIMITED, RefusalKind.OVERLOADED, RefusalKind.QUOTA}
)  # other refusals say nothing of the next call


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """`refusals`: in a row. `since`: when the last of them came; calls sent before it count no more."""

    refusals: int = 0
    until: float = 0.0
    since: float = float("-inf")
    probe_until: float = 0.0


CLEAR = BackOff()


def ask(state: BackOff, now: float) -> tuple[BackOff, float]:
    """Seconds to wait before asking again, or 0: go. After a wait one call goes first, alone."""
    if now < state.until:
        return state, state.until - now
    if state.refusals == 0:
        return state, 0.0
    if now < state.probe_until:
        return state, state.probe_until - now
    return replace(state, probe_until=now + PROBE_SECONDS), 0.0


def refused(
    state: BackOff,
    kind: RefusalKind,
    *,
    sent_at: float,
    now: float,
    jitter: float,
    retry_after_seconds: float | None = None,
) -> BackOff:
    """The state after a refusal of a call sent at `sent_at`; `jitter` from 0 to 1 adds up to a quarter.

    The wait is what the provider said, never less, and 1, 2, 4 ... up to 60 seconds when it said nothing.
    Many calls under way are refused together: only the first of them makes the wait longer.
    """
    if kind not in HOLDS_BACK:
        return state
    together = sent_at <= state.since
    refusals = state.refusals if together and state.refusals else state.refusals + 1
    grown = min(FIRST_SECONDS * 2.0 ** min(refusals - 1, 30), CAP_SECONDS)
    said = min(max(retry_after_seconds or 0.0, 0.0), LONGEST.total_seconds())
    wait = said if retry_after_seconds is not None and said > 0 else grown
    wait += min(wait, CAP_SECONDS) * 0.25 * min(max(jitter, 0.0), 1.0)
    until = max(state.until, now + wait) if not (together and retry_after_seconds is None) else state.until
    return BackOff(refusals=refusals, until=until, since=state.since if together else now)


def answered(state: BackOff, *, sent_at: float) -> BackOff:
    """The state after the provider took a call. One sent before the last refusal proves nothing."""
    return state if sent_at <= state.since else CLEAR
