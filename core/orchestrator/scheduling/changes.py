"""PURE: how allocations differ, in words: "Increased memory allocation for shop by 512 MB"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.scheduler.quota import Quota

# What is worth a sentence: measured memory is never twice the same.
_MEMORY_PART = 0.05
_MEMORY_MB = 64
_CPU_PERCENT = 1.0


def told_changes(
    before: Mapping[str, Quota], after: Iterable[Quota]
) -> tuple[tuple[str, ...], Mapping[str, Quota]]:
    """The sentences, by project, and what people know then: `before` moves on only where something was told,
    so that many small steps are told as well, once they add up."""
    sentences: list[str] = []
    known: dict[str, Quota] = {}
    for new in sorted(after, key=lambda quota: quota.project_name):
        old = before.get(new.project_name)
        said = _first(new) if old is None else _of(old, new)
        sentences += said
        known[new.project_name] = new if said or old is None else old
    sentences += [f"Took all of its allocation from {name}" for name in sorted(before.keys() - known.keys())]
    return tuple(sentences), known


def _first(new: Quota) -> list[str]:
    agents = "any number of agents" if new.allocated_agents is None else _agents(new.allocated_agents)
    memory = "" if new.allocated_memory_mb is None else f", {new.allocated_memory_mb:,} MB of memory"
    return [f"Gave {new.project_name} {agents}{memory} and {new.allocated_cpu_percent:g} % of the CPU"]


def _of(old: Quota, new: Quota) -> list[str]:
    name, said = new.project_name, []
    if old.allocated_agents != new.allocated_agents:
        said.append(_agents_sentence(name, old.allocated_agents, new.allocated_agents))
    memory = _memory_sentence(name, old.allocated_memory_mb, new.allocated_memory_mb)
    if memory:
        said.append(memory)
    step = new.allocated_cpu_percent - old.allocated_cpu_percent
    if abs(step) >= _CPU_PERCENT:
        verb = "Increased" if step > 0 else "Reduced"
        said.append(f"{verb} CPU allocation for {name} to {new.allocated_cpu_percent:g} %")
    return said


def _agents_sentence(name: str, old: int | None, new: int | None) -> str:
    if new is None:
        return f"Took the limit of agents from {name}"
    if old is None:
        return f"Limited {name} to {_agents(new)}"
    if new > old:
        return f"Gave {name} {new - old} more agent{'s' if new - old > 1 else ''}"
    return f"Took {_agents(old - new)} from {name}"


def _memory_sentence(name: str, old: int | None, new: int | None) -> str:
    if old is None or new is None:
        return "" if old == new else f"Set memory allocation for {name} to {_memory(new)}"
    step = new - old
    if abs(step) < max(_MEMORY_MB, _MEMORY_PART * old):
        return ""
    return f"{'Increased' if step > 0 else 'Reduced'} memory allocation for {name} by {abs(step):,} MB"


def _memory(amount: int | None) -> str:
    return "what there is" if amount is None else f"{amount:,} MB"


def _agents(count: int) -> str:
    return {0: "no agent", 1: "1 agent"}.get(count, f"{count} agents")
