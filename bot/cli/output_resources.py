"""What the terminal shows of shares, limits and waits. Pure: values in, renderables out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import clean, done, following, indented, next_step, status, table, when
from bot.cli.words import translated
from cogs.text import count
from core.domain.story import Priority

if TYPE_CHECKING:
    from core.orchestrator.resource_views import (
        LockView,
        Optimization,
        ProjectResources,
        ReloadView,
        ResourcesView,
        ResourceView,
        WhyView,
    )
    from core.scheduler.quota import Quota

_CELLS = 4  # of a bar: in 80 columns there has to be room for the project's name
_TIER_SIGN = {Priority.CRITICAL: "🔴", Priority.HIGH: "🟠", Priority.NORMAL: "🟡", Priority.LOW: "🟢"}
_MB_A_GB = 1024


# -- sharing anew ----------------------------------------------------------------------------------


def optimization(value: Optimization) -> RenderableType:
    head = "🔧 Resource Optimization Results"
    lines = [
        f"{head} (dry run: nothing was changed):" if value.dry_run else f"{head}:",
        f"  Time: {value.seconds:.2f}s",
        f"  Changes: {len(value.changes)}",
        f"  Strategy: {value.strategy}",
    ]
    lines += _listed("Changes it would make" if value.dry_run else "Changes made", value.changes)
    lines += _listed("Would start at once", value.starts)
    lines += _listed("Would be parked", value.parks)
    parts: list[RenderableType] = [Text(clean("\n".join(lines)))]
    parts += [Text.assemble(("⚠ ", "yellow"), clean(problem)) for problem in value.problems]
    if value.dry_run and value.after:
        parts.append(_quotas(value.before, value.after))
    return Group(*parts)


def _listed(what: str, sentences: Sequence[str]) -> list[str]:
    return [f"  {what}:", *(f"    - {sentence}" for sentence in sentences)] if sentences else []


def _quotas(before: Sequence[Quota], after: Sequence[Quota]) -> Table:
    """What each project has now, and would have."""
    old = {quota.project_name: quota for quota in before}
    shown = table("Now → then")
    shown.add_column("Project", style="bold", overflow="fold")
    for name in ("Agents", "Memory", "CPU"):
        shown.add_column(name, justify="right", no_wrap=True)
    for quota in after:
        was = old.get(quota.project_name)
        shown.add_row(
            quota.project_name,
            _change(_whole(was.allocated_agents) if was else "-", _whole(quota.allocated_agents)),
            _change(_memory(was.allocated_memory_mb) if was else "-", _memory(quota.allocated_memory_mb)),
            _change(
                f"{was.allocated_cpu_percent:.0f} %" if was else "-", f"{quota.allocated_cpu_percent:.0f} %"
            ),
        )
    return shown


def _change(was: str, now: str) -> Text:
    return Text(now) if was == now else Text.assemble((was, "dim"), " → ", (now, "bold"))


# -- who has what ----------------------------------------------------------------------------------


def resources(view: ResourcesView, *, in_shell: bool = False) -> RenderableType:
    head = Text.assemble(("Strategy: ", "bold"), clean(view.strategy))
    if view.rebalanced_at is not None:
        head.append(f", shared anew {when(view.rebalanced_at)}", style="dim")
    parts: list[RenderableType] = [head]
    parts.append(Text.assemble(("In all: ", "bold"), " · ".join(map(_in_all, view.total))))
    if view.pressure:
        parts.append(Text.assemble(("⏳ ", "yellow"), clean(view.pressure)))
    if view.projects:
        parts.append(_project_table(view.projects))
    else:
        parts.append(next_step("No project is registered yet", "register NAME PATH", in_shell=in_shell))
    for each in view.projects:
        parts += _of_project(each)
    parts += [_lock(lock) for lock in view.locks]
    parts += [Text.assemble(("⚠ ", "yellow"), clean(problem)) for problem in view.problems]
    if view.enforcement:
        parts.append(Text("Limits are held by:", style="dim"))
        parts += [indented(sentence, "dim") for sentence in view.enforcement]
    return Group(*parts)


def _project_table(views: Sequence[ProjectResources]) -> Table:
    shown = table()
    shown.add_column("Project", style="bold", overflow="fold")
    shown.add_column("Agents", justify="right", no_wrap=True)
    shown.add_column("Wait", justify="right", no_wrap=True)
    shown.add_column("Share", no_wrap=True)
    for name in ("CPU", "Memory", "Disk"):
        shown.add_column(name, justify="right", no_wrap=True)
    for view in views:
        found = {each.resource: each for each in view.resources}
        shown.add_row(
            Text.assemble(clean(view.project), ("" if not view.barred else " ⏸", "yellow")),
            _agents(view, found.get("agents")),
            str(view.waiting) if view.waiting else "",
            share(view.share, view.entitled),
            _used(found.get("cpu"), lambda amount: f"{amount:.1f}"),
            _used(found.get("memory_mb"), _memory),
            _taken(found.get("disk_mb"), _memory),
        )
    return shown


def share(held: float, entitled: float) -> Text:
    """A bar that is full when a project holds what it may count on; more than that shows in yellow."""
    part = held / entitled if entitled > 0 else float(held > 0)
    cells = max(0, min(_CELLS, round(part * _CELLS)))
    style = "yellow" if part > 1 else "cyan"
    said = f" {held * 100:.0f} % of {entitled * 100:.0f} %"
    return Text.assemble(("█" * cells, style), ("░" * (_CELLS - cells), "dim"), said)


def _agents(view: ProjectResources, agents: ResourceView | None) -> str:
    """Running / allocated / limit."""
    limit = "-" if agents is None or agents.limit is None else f"{agents.limit:.0f}"
    return f"{view.running}/{_whole(view.quota.allocated_agents)}/{limit}"


def _of_project(view: ProjectResources) -> list[RenderableType]:
    """Why nothing of it starts, what it will want, which of its limits do not hold."""
    parts: list[RenderableType] = []
    if view.barred:
        said = Text.assemble((f"{clean(view.project)}: ", "bold"), clean(view.barred.removeprefix("waits: ")))
        parts.append(Text.assemble(("⏸ ", "yellow"), said))
    if view.forecast:
        parts.append(indented(f"{view.project}: {view.forecast}", "dim"))
    parts += [
        Text.assemble(("⚠ ", "yellow"), (f"{clean(view.project)}: ", "bold"), clean(problem))
        for problem in view.problems
    ]
    return parts


def quota_line(view: ProjectResources) -> Text:
    """A project's share in one line."""
    quota = view.quota
    agents = "agent" if quota.allocated_agents == 1 else "agents"
    said = [
        f"{view.running} of {_whole(quota.allocated_agents)} {agents}",
        f"memory {_memory(quota.allocated_memory_mb)}",
        f"CPU {quota.allocated_cpu_percent:.0f} %",
        f"weight {quota.priority_weight:g}",
    ]
    line = Text.assemble(("Quota: ", "bold"), " · ".join(said))
    if quota.reason:
        line.append(f" ({clean(quota.reason.rstrip('.'))})", style="dim")
    if view.barred:
        line.append(f"\n⏸ {clean(view.barred.removeprefix('waits: '))}", style="yellow")
    return line


def _in_all(view: ResourceView) -> str:
    """What is taken, of what there is."""
    taken = max(view.reserved, view.used or 0.0)
    if view.resource in ("memory_mb", "disk_mb"):
        name, words = view.resource.removesuffix("_mb"), _memory
        if view.limit is None:
            return f"{name} {words(taken)}"
        return f"{name} {words(taken)} of {words(view.limit)}"
    if view.resource == "cpu":
        cores = f"{view.limit or 0:g} {view.unit}"
        return cores if view.used is None else f"load {view.used:.1f} on {cores}"
    limit = "" if view.limit is None else f" of {view.limit:g}"
    return f"{taken:.0f}{limit} {view.unit}"


def _taken(view: ResourceView | None, words: Callable[[float], str]) -> str:
    if view is None or (view.used is None and not view.reserved):
        return "-"
    return words(view.used or view.reserved)


def _used(view: ResourceView | None, words: Callable[[float], str]) -> str:
    """Used / limit."""
    if view is None:
        return "-"
    used = _taken(view, words)
    if view.limit is None:
        return used
    limit = words(view.limit)
    amount, _, unit = used.partition(" ")
    return f"{amount if limit.endswith(f' {unit}') else used}/{limit}"  # "2/10 GB" but "700 MB/4 GB"


def _lock(lock: LockView) -> Text:
    held = ", ".join(lock.holders) or "nobody"
    verb = "waits" if len(lock.waiting) == 1 else "wait"
    waiting = f"; {', '.join(lock.waiting)} {verb}" if lock.waiting else ""
    places = count(lock.places, "place")
    return Text.assemble(("🔒 ", ""), (clean(lock.name), "bold"), f" ({places}): held by {held}{waiting}")


def _whole(amount: int | None) -> str:
    return "∞" if amount is None else str(amount)


def _memory(amount: float | None) -> str:
    """MB as people say it."""
    if amount is None:
        return "∞"
    return f"{amount:.0f} MB" if amount < _MB_A_GB else f"{amount / _MB_A_GB:.3g} GB"


# -- why -------------------------------------------------------------------------------------------


def why(view: WhyView, *, in_shell: bool = False) -> RenderableType:
    head = Text.assemble((view.story_id, "bold"), f": {clean(view.title)} (", status(view.status), ")")
    sentence = translated(clean(view.sentence), in_shell=in_shell)
    parts: list[RenderableType] = [head, indented(f"It {sentence}")]
    parts += [indented(f"• {translated(clean(each), in_shell=in_shell)}", "dim") for each in view.details]
    if view.next:
        parts.append(following(f"Next: {translated(clean(view.next), in_shell=in_shell)}"))
    return Group(*parts)


# -- settings read anew ------------------------------------------------------------------------------


def reloaded(view: ReloadView) -> RenderableType:
    if not (view.changed or view.later or view.problems):
        return done("The settings are read: nothing has changed.")
    changed = count(len(view.changed), "setting")
    earlier = ""
    if view.taken_up_at is not None:
        earlier = f" Orchard had seen it already, at {view.taken_up_at:%H:%M:%S} UTC."
    parts: list[RenderableType] = [done(f"The settings are read: {changed} changed.{earlier}")]
    parts += [indented(f"• {line}") for line in view.changed]
    if view.later:
        parts.append(Text("Not now:", style="yellow"))
        parts += [indented(f"• {line}") for line in view.later]
    parts += [Text.assemble(("⚠ ", "yellow"), clean(problem)) for problem in view.problems]
    return Group(*parts)
