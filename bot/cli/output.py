"""What the terminal shows of the whole, of projects and of errors. Pure: values in, renderables out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import clean, done, following, indented, next_step, table
from bot.cli.output_answers import approvals
from bot.cli.words import translated, typed
from cogs.figures import figure_rows
from cogs.text import count
from core.domain.lifecycles import ProjectStatus
from core.domain.story import Priority

if TYPE_CHECKING:
    from bot.cli.findings import Report
    from bot.cli.questions import Discovered
    from core.domain.project import Project
    from core.errors import OrchardError
    from core.orchestrator.resource_views import Metrics
    from core.orchestrator.views import ArchiveView, ImportView, ProjectView, Registration, SystemView

PRIORITY_SIGN = {Priority.CRITICAL: "🔴", Priority.HIGH: "🟠", Priority.NORMAL: "🟡", Priority.LOW: "🟢"}
STATUS_SIGN = {
    ProjectStatus.ACTIVE: "🟢",
    ProjectStatus.INITIALIZING: "⚪",
    ProjectStatus.PAUSED: "⏸️ ",
    ProjectStatus.MAINTENANCE: "🔧",
    ProjectStatus.ARCHIVED: "📦",
}


def failure(error: OrchardError, *, in_shell: bool = False) -> RenderableType:
    """What happened, why, what to do: each on lines of its own. Only the last is there to be typed."""
    message = translated(clean(error.message), in_shell=True)
    parts: list[RenderableType] = [Text.assemble(("✗ ", "bold red"), (message, "bold"))]
    if why := error.why.strip("\n"):
        parts += [indented(translated(line.strip(), in_shell=True)) for line in why.splitlines()]
    if error.hint:
        parts.append(following(translated(error.hint, in_shell=in_shell)))
    return Group(*parts)


# -- the whole -------------------------------------------------------------------------------------


def system(view: SystemView, *, in_shell: bool = False, root: str = "") -> RenderableType:
    """`in_shell`: hints are for it, not for the command line. `root`: where nothing runs."""
    head = Text.assemble(
        ("🎛️  Multi-Project Orchestrator Status\n", "bold"),
        f"Running: {view.running}\n",
        f"Startup Complete: {view.startup_complete}\n",
        f"Projects: {len(view.projects)}\n",
        f"Active: {sum(p.project.status is ProjectStatus.ACTIVE for p in view.projects)}\n",
    )
    if view.running:
        head.append(f"Isolation: {view.isolation}\nDiscord: {view.discord}\n")
        if view.web:
            head.append(f"Web: {clean(view.web)}\n")
        head.append(f"Machine: CPU {view.cpu_percent:.0f} %, memory {view.memory_percent:.0f} %")
    else:
        where = f" in {clean(root)}" if root else ""
        head.append(f"Nothing runs{where} now. Start it: orchard run", style="dim")
    parts: list[RenderableType] = [head]
    if view.figures is not None:
        parts.append(figures(view.figures))
    if view.projects:
        parts.append(project_table(view.projects))
    parts += faults(view)
    if view.pending_approvals:
        parts.append(approvals(view.pending_approvals, in_shell=in_shell))
    return Group(*parts)


def figures(metrics: Metrics) -> RenderableType:
    """What is behind a figure stands beside it, or below where the terminal is narrow."""
    lines = []
    for name, value, behind in figure_rows(metrics):
        line = Text.assemble((name, "dim"), " ", (value, "bold"))
        lines.append(line.append(f"  {behind}", style="dim") if behind else line)
    return Group(*lines)


def faults(view: SystemView) -> list[RenderableType]:
    """What keeps configured projects from working, one block a project."""
    wrong = {each.project.name: each.problem for each in view.projects if each.problem} | dict(view.unusable)
    if view.refused_settings:
        wrong = {"The changed settings are not in force": view.refused_settings, **wrong}
    return [fault(name, why) for name, why in wrong.items()]


def fault(name: str, why: str) -> RenderableType:
    lines = [line.strip() for line in why.strip().splitlines() if line.strip()]
    head = Text.assemble(("⚠ ", "yellow"), (f"{clean(name)}: ", "bold"), clean(lines[0]))
    return Group(head, *(indented(line) for line in lines[1:]))


def project_table(views: Sequence[ProjectView]) -> Table:
    shown = table()
    shown.add_column("Project", style="bold", overflow="fold")
    for name in ("Status", "Workflow"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("Stories", overflow="fold")
    with_worker = any(view.worker.state not in ("stopped", "running") for view in views)
    if with_worker:
        shown.add_column("Worker", overflow="fold")
    for view in views:
        worker = [Text(clean(f"{view.worker.state} {view.worker.detail}".strip()))] if with_worker else []
        shown.add_row(
            view.project.name, str(view.project.status), str(view.project.workflow), _counts(view), *worker
        )
    return shown


def _counts(view: ProjectView) -> Text:
    said = [
        (f"{number} {word}", style)
        for number, word, style in (
            (view.running, "running", "cyan"),
            (view.waiting, "waiting", ""),
            (view.blocked, "blocked", "red"),
            (view.done, "done", "green"),
            (view.pending_approvals, "to approve", "yellow"),
        )
        if number
    ]
    return Text(", ").join(Text(words, style=style) for words, style in said)


# -- projects --------------------------------------------------------------------------------------


def projects(views: Sequence[ProjectView], *, in_shell: bool = False) -> RenderableType:
    if not views:
        return Text(
            f"No project is registered yet. Register one: {typed('register NAME PATH', in_shell=in_shell)}"
        )
    parts: list[RenderableType] = [Text("📋 Registered Projects:", style="bold")]
    for view in views:
        project = view.project
        sign = f"{PRIORITY_SIGN[view.priority]} {view.priority}"
        text = Text(f"  {STATUS_SIGN[project.status]} {project.name} ({sign})")
        text.append(f"\n    Path: {clean(str(project.path))}\n    Status: {project.status}", style="dim")
        if view.not_in_force:
            text.append(f"\n    Not yet in force: {', '.join(view.not_in_force)}", style="dim")
        parts.append(text)
        if view.problem:
            parts += [indented(f"  ⚠ {line}", "yellow") for line in view.problem.split("\n") if line.strip()]
    return Group(*parts)


def registered(value: Registration, *, in_shell: bool = False) -> RenderableType:
    project = value.project
    parts: list[RenderableType] = [
        done(f"{project.name} is registered: {project.path}, main branch {project.main_branch}.")
    ]
    parts += [indented(f"• {note}", "yellow") for note in value.notes]
    if project.status is not ProjectStatus.ACTIVE:
        parts.append(next_step("Let it work", f"start {project.name}", in_shell=in_shell))
    else:
        parts.append(indented(f"It is {project.status}, as its settings say.", "dim"))
    return Group(*parts)


def imported(value: ImportView, *, in_shell: bool = False) -> RenderableType:
    """What came out of another tool's `.orch-state`, or with nothing moved yet: what would come."""
    parts: list[RenderableType] = [done(_came(value))]
    parts += [indented(f"+ {title}", "") for title in value.waiting[:20]]
    if len(value.waiting) > 20:
        parts.append(indented(f"and {len(value.waiting) - 20} more", "dim"))
    parts += [indented(f"• {note}", "yellow") for note in value.notes]
    if value.kept:
        parts.append(indented(f"The other tool's files are in {value.kept} now.", "dim"))
    if value.kept and value.waiting:
        parts.append(next_step("Choose a sprint", f"plan {value.project}", in_shell=in_shell))
    elif not value.kept:
        parts.append(next_step("Take it over", f"import {value.project}", in_shell=in_shell))
    return Group(*parts)


def _came(value: ImportView) -> str:
    """One sentence with what there is to say."""
    came = "came into" if value.kept else "would come into"
    parts = [f"{count(len(value.waiting), 'story', 'stories')} {came} the backlog of {value.project}"]
    parts += [f"{value.done} done there already"] if value.done else []
    parts += [count(value.epics, "epic")] if value.epics else []
    parts += [count(value.sprints, "finished sprint")] if value.sprints else []
    parts += [f"{value.known} had come before"] if value.known else []
    return f"{', '.join(parts)}."


def started(project: Project, *, running: bool) -> RenderableType:
    text = done(f"{project.name} is {project.status}.")
    if not running:
        text.append("\n  Nothing runs now; it works once Orchard does: orchard run", style="dim")
    return text


def stopped(project: Project) -> RenderableType:
    return done(f"{project.name} is {project.status}; what its agents left is kept.")


def maintained(project: Project) -> RenderableType:
    return done(f"{project.name} is in {project.status}: nothing runs until it is started.")


def archived(made: ArchiveView, *, in_shell: bool = False) -> RenderableType:
    text = done(f"{made.project.name} is {made.project.status}.")
    text.append(f"\n  What Orchard knew of it, {made.rows:,} rows: {clean(made.path)}", style="dim")
    text.append(
        f"\n  It comes back with: {typed(f'reopen {made.project.name}', in_shell=in_shell)}", style="dim"
    )
    return text


def reopened(project: Project, *, in_shell: bool = False) -> RenderableType:
    text = done(f"{project.name} is open again with all its history, and {project.status}.")
    text.append(f"\n  To let it work: {typed(f'start {project.name}', in_shell=in_shell)}", style="dim")
    return text


def discovered(value: Discovered, *, in_shell: bool = False) -> RenderableType:
    if not value.candidates:
        where = typed("discover PATH ...", in_shell=in_shell)
        hint = f"Name folders that hold git repositories: {where}"
        return Text(f"No project found there. {hint}")
    parts: list[RenderableType] = []
    for candidate in value.candidates:
        name = candidate.registered_as or (candidate.name if candidate.name in value.registered else "")
        new = "" if candidate.registered_as or not name else " now"
        state = (f" (registered{new} as {name})", "green") if name else (" (not registered)", "yellow")
        parts.append(Text.assemble((clean(candidate.name), "bold"), state))
        parts.append(indented(candidate.path))
        parts.append(indented("; ".join(candidate.reasons), "dim"))
    parts += [Text(clean(f"✗ {sentence}"), style="red") for sentence in value.refused]
    if (
        not value.registered
        and not value.refused
        and any(candidate.registered_as is None for candidate in value.candidates)
    ):
        if not in_shell:  # the shell's discover registers
            parts.append(following("Register them: orchard discover --register PATH ..."))
        parts.append(next_step("Or one", "register NAME PATH", in_shell=in_shell))
    return Group(*parts)


# -- doctor ----------------------------------------------------------------------------------------


def doctor(value: Report) -> RenderableType:
    signs = {"ok": ("✓", "green"), "note": ("•", "yellow"), "missing": ("✗", "red")}
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column()
    for check in value.checks:
        sign, style = signs[check.state]
        text = Text.assemble((f"{clean(check.name)}: ", "bold"), clean(check.found))
        table.add_row(Text(sign, style=style), text)
        if check.mend:
            table.add_row("", Text(f"→ {clean(check.mend)}", style="green"))
    missing = sum(check.state == "missing" for check in value.checks)
    end = (
        Text("Ready.", style="bold green")
        if not missing
        else Text(f"{missing} {'thing' if missing == 1 else 'things'} to mend.", style="bold red")
    )
    return Group(table, end)
