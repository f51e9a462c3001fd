"""PURE: what a task waits for: "waits: memory is full, shop holds 42 % of its 33 %; next when ..."."""

from __future__ import annotations

from dataclasses import dataclass

from core.scheduler.decision import Obstacle, Wait
from core.scheduler.resources import Resource, percent, worded


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`sentence` is the whole of it; `next` what has to happen, as a sentence of its own."""

    sentence: str
    next: str = ""
    details: tuple[str, ...] = ()


def wait_words(wait: Wait) -> Words:
    """Of one wait. Whoever holds most is named, and how much has to come free."""
    match wait.obstacle:
        case Obstacle.CAPACITY:
            what, then = _full(wait), _until_free(wait)
        case Obstacle.LIMIT:
            what, then = _own_limit(wait), f"a task of {wait.project} ends or its limit is raised"
        case Obstacle.PROJECTS:
            what = f"{wait.capacity:g} projects are at work already (max_concurrent_projects)"
            then = "one of them has nothing more to do"
        case Obstacle.KEPT:
            what = f"what is free is kept for {wait.holder or 'others'} ({wait.detail})"
            then = "that has started, or more comes free"
        case Obstacle.DRAINING | Obstacle.TOO_LARGE | Obstacle.BROKEN:
            said, _, then = wait.reason.partition(" Next when ")
            return Words(sentence=wait.reason, next=_as_sentence(then), details=(said,))
    holds = f"{wait.project} holds {percent(wait.share)} of its {percent(wait.entitled)}"
    return Words(
        sentence=f"waits: {what}, {holds}; next when {then}.",
        next=_as_sentence(then),
        details=_details(wait),
    )


def _full(wait: Wait) -> str:
    match wait.short:
        case Resource.AGENTS:
            return f"all {wait.capacity:g} agents are at work (max_total_agents)"
        case Resource.MEMORY_MB:
            return "memory is full"
        case Resource.CPU:
            return "the processor cores are all taken"
        case Resource.DISK_MB:
            return "the disk is full"
        case _:
            return f"there are no more {wait.short or 'resources'}"


def _own_limit(wait: Wait) -> str:
    used, most = f"{wait.capacity - wait.free:,.6g}", f"{wait.capacity:,.6g}"
    match wait.short:
        case Resource.CYCLES:
            return f"{wait.project} runs {used} of its {most} parallel stories"
        case Resource.AGENTS:
            return f"{wait.project} has {used} of its {most} agents at work (max_parallel_agents)"
        case Resource.MEMORY_MB:
            return f"{wait.project} uses {used} of its {most} MB of memory (max_memory_mb)"
        case Resource.CPU:
            return f"{wait.project} uses {used} of its {most} cores (max_cpu_cores)"
        case Resource.DISK_MB:
            return f"{wait.project} uses {used} of its {most} MB of disk (max_disk_mb)"
        case _:
            return f"{wait.project} is at its own limit"


def _until_free(wait: Wait) -> str:
    assert wait.short is not None  # of something there is too little
    holder = f" ({wait.holder} holds most of it)" if wait.holder else ""
    if wait.short is Resource.AGENTS:
        return f"one of them ends{holder}"
    return f"{worded(wait.short, wait.needed - max(wait.free, 0.0))} more come free{holder}"


def _details(wait: Wait) -> tuple[str, ...]:
    found = [f"{wait.project} holds {percent(wait.share)} and may count on {percent(wait.entitled)}."]
    if wait.short is not None:
        free = f"{max(wait.free, 0.0):,.6g} of {wait.capacity:,.6g}"
        found.append(f"It needs {worded(wait.short, wait.needed)}; {free} are free.")
        if wait.holder and wait.held:
            found.append(f"{wait.holder[:1].upper()}{wait.holder[1:]} holds {worded(wait.short, wait.held)}.")
    return tuple(found)


def _as_sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""
