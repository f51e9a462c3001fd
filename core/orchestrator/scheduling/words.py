"""PURE: what a task waits for: "waits: memory is full, shop holds 42 % of its 33 %; next when ..."."""

from __future__ import annotations

from dataclasses import dataclass

from core.scheduler.decision import Obstacle, Wait
from core.scheduler.resources import Resource, come_free, is_or_are, percent, worded

_NEXT = "; next "


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`sentence` is the whole of it; `next` what has to happen, as a sentence of its own."""

    sentence: str
    next: str = ""
    details: tuple[str, ...] = ()


def words_of(sentence: str) -> Words:
    """Of a wait that is told in one sentence: it ends with what has to happen, as "; next when ..." says."""
    _, _, then = sentence.rpartition(_NEXT) if _NEXT in sentence else ("", "", "")
    return Words(sentence=sentence, next=_as_sentence(then.removeprefix("when ")))


def wait_words(wait: Wait) -> Words:
    """Of one wait. Whoever holds most is named, and how much has to come free."""
    match wait.obstacle:
        case Obstacle.CAPACITY:
            what, then = _full(wait), _until_free(wait)
        case Obstacle.LIMIT:
            what, then = _own_limit(wait), f"a phase of {wait.project} ends, or its limit is raised"
        case Obstacle.PROJECTS:
            what, then = _projects(wait)
        case Obstacle.KEPT:
            what = f"what is free is kept for {wait.holder or 'others'} ({wait.detail})"
            then = f"{wait.holder} has started, or more comes free" if wait.holder else "more comes free"
        case Obstacle.DRAINING | Obstacle.TOO_LARGE | Obstacle.BROKEN:
            return words_of(wait.reason.replace(". Next ", _NEXT))
    holds = f"{wait.project} holds {percent(wait.share)} of its {percent(wait.entitled)}"
    return Words(
        sentence=f"waits: {what}, {holds}; next when {then}.",
        next=_as_sentence(then),
        details=_details(wait),
    )


def _projects(wait: Wait) -> tuple[str, str]:
    if wait.capacity == 1:
        what, which = "another project is at work, and only 1 may be (max_concurrent_projects)", "it"
    else:
        what = f"{wait.capacity:g} projects are at work already (max_concurrent_projects)"
        which = "one of them"
    return what, f"{which} has nothing more to do"


def _full(wait: Wait) -> str:
    part = wait.free > 0.0  # there is some, but not enough of it
    match wait.short:
        case Resource.AGENTS if wait.free < 0:  # the limit was lowered
            at_work = f"{wait.capacity - wait.free:g} agents are at work"
            return f"{at_work}, and only {wait.capacity:g} may be (max_total_agents)"
        case Resource.AGENTS if wait.capacity == 1:
            return "the only agent is at work (max_total_agents)"
        case Resource.AGENTS:
            return f"all {wait.capacity:g} agents are at work (max_total_agents)"
        case Resource.MEMORY_MB:
            return "memory is full"  # for such a phase; the details say how much is free
        case Resource.CPU:
            return "too few processor cores are free" if part else "the processor cores are all taken"
        case Resource.DISK_MB:
            return "too little disk is free" if part else "the disk is full"
        case _:
            return f"there are no more {wait.short or 'resources'}"


def _own_limit(wait: Wait) -> str:
    used, most = f"{max(wait.capacity - wait.free, 0.0):,.6g}", f"{wait.capacity:,.6g}"
    match wait.short:
        case Resource.CYCLES:
            return f"{wait.project} works on {used} of at most {_counted(most, 'story', 'stories')} at once"
        case Resource.AGENTS:
            at_work = f"{used} of at most {_counted(most, 'agent', 'agents')}"
            return f"{wait.project} has {at_work} at work (max_parallel_agents)"
        case Resource.MEMORY_MB:
            return f"{wait.project} uses {used} of its {most} MB of memory (max_memory_mb)"
        case Resource.CPU:
            return f"{wait.project} uses {used} of its {_counted(most, 'core', 'cores')} (max_cpu_cores)"
        case Resource.DISK_MB:
            return f"{wait.project} uses {used} of its {most} MB of disk (max_disk_mb)"
        case _:
            return f"{wait.project} is at its own limit"


def _counted(number: str, one: str, many: str) -> str:
    return f"{number} {one if number == '1' else many}"


def _until_free(wait: Wait) -> str:
    assert wait.short is not None  # of something there is too little
    more = come_free(wait.short, wait.needed - wait.free)
    if not wait.holder or not wait.held:
        return more
    who = f"{wait.holder} itself" if wait.holder == wait.project else wait.holder
    if wait.short is Resource.AGENTS and wait.capacity == 1 and wait.free >= 0:
        return f"that agent is done ({who} has it)"
    unit = " MB of it" if wait.short in (Resource.MEMORY_MB, Resource.DISK_MB) else " of them"
    return f"{more} ({who} holds {wait.held:,.6g}{unit})"


def _details(wait: Wait) -> tuple[str, ...]:
    found = [f"{wait.project} holds {percent(wait.share)} and may count on {percent(wait.entitled)}."]
    if wait.short is not None:
        free = max(wait.free, 0.0)
        there = f"{free:,.6g} of {wait.capacity:,.6g} {is_or_are(free)} free"
        found.append(f"It needs {worded(wait.short, wait.needed)}; {there}.")
    return tuple(found)


def _as_sentence(text: str) -> str:
    """Names of projects and stories, of which one may begin it, stay as they are written."""
    text = text.strip().rstrip(".")
    first = text.partition(" ")[0]
    if not text or "-" in first or first not in _BEGIN:
        return f"{text}." if text else ""
    return f"{text[:1].upper()}{text[1:]}."


_BEGIN = frozenset(["a", "another", "in", "it", "more", "nothing", "on", "one", "that", "the", "there"])
