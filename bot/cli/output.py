"""What the terminal shows: values from core as rich renderables or JSON. Text is never read as markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.doctor import Report
from core.domain.approval import Approval
from core.domain.lifecycles import ProjectStatus
from core.domain.project import Project
from core.domain.story import Priority, StoryStatus
from core.errors import OrchardError
from core.orchestrator.commands import Commands
from core.orchestrator.views import (
    Candidate,
    ProjectView,
    Registration,
    SprintView,
    StoryView,
    SystemView,
    WorkflowView,
)

PRIORITY_SIGN = {Priority.CRITICAL: "🔴", Priority.HIGH: "🟠", Priority.NORMAL: "🟡", Priority.LOW: "🟢"}
STATUS_SIGN = {
    ProjectStatus.ACTIVE: "🟢",
    ProjectStatus.INITIALIZING: "⚪",
    ProjectStatus.PAUSED: "⏸️ ",
    ProjectStatus.MAINTENANCE: "🔧",
    ProjectStatus.ARCHIVED: "📦",
}
STORY_STYLE = {
    StoryStatus.RUNNING: "cyan",
    StoryStatus.AWAITING_APPROVAL: "yellow",
    StoryStatus.BLOCKED: "red",
    StoryStatus.DONE: "green",
}


def data_of(value: Any) -> Any:
    """Plain JSON values."""
    return to_jsonable_python(value)


def error_data(error: OrchardError) -> dict[str, str]:
    return {"error": error.slug, "message": error.message, "why": error.why, "hint": error.hint}


def print_error(error: OrchardError, console: Console) -> None:
    console.print(Text.assemble(("✗ ", "bold red"), (error.message, "bold")))
    if error.why:
        console.print(Text(f"  {error.why}"))
    if error.hint:
        console.print(Text(f"  → {error.hint}", style="green"))


def system(view: SystemView) -> RenderableType:
    head = Text.assemble(
        ("🎛️  Multi-Project Orchestrator Status\n", "bold"),
        f"Running: {view.running}\n",
        f"Startup Complete: {view.startup_complete}\n",
        f"Projects: {len(view.projects)}\n",
        f"Active: {sum(p.project.status is ProjectStatus.ACTIVE for p in view.projects)}\n",
    )
    if view.running:
        head.append(f"Isolation: {view.isolation}\nDiscord: {view.discord}\n")
        head.append(f"Machine: CPU {view.cpu_percent:.0f} %, memory {view.memory_percent:.0f} %")
    else:
        head.append("Nothing runs now. Start it: orchard run.", style="dim")
    parts: list[RenderableType] = [head]
    if view.projects:
        parts.append(_project_table(view.projects))
    if view.pending_approvals:
        parts.append(approvals(view.pending_approvals))
    return Group(*parts)


def _project_table(views: Sequence[ProjectView]) -> Table:
    table = Table("Project", "Status", "Workflow", "Worker", "Runs", "Waits", "Blocked", "Done", "Asks you")
    for view in views:
        table.add_row(
            Text(view.project.name, style="bold"),
            str(view.project.status),
            str(view.project.workflow),
            Text(f"{view.worker.state} {view.worker.detail}".strip()),
            str(view.running),
            str(view.waiting),
            Text(str(view.blocked), style="red" if view.blocked else ""),
            str(view.done),
            Text(str(view.pending_approvals), style="yellow" if view.pending_approvals else ""),
        )
    return table


def projects(views: Sequence[ProjectView]) -> RenderableType:
    if not views:
        return Text("No project is registered yet. Register one: orchard register NAME PATH")
    text = Text("📋 Registered Projects:", style="bold")
    for view in views:
        project = view.project
        sign = STATUS_SIGN[project.status]
        text.append(
            f"\n  {sign} {project.name} ({PRIORITY_SIGN[view.priority]} {view.priority})", style="not bold"
        )
        text.append(f"\n    Path: {project.path}\n    Status: {project.status}", style="not bold dim")
        if view.not_in_force:
            text.append(f"\n    Not yet in force: {', '.join(view.not_in_force)}", style="not bold dim")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectReport:
    project: ProjectView
    workflow: WorkflowView
    backlog: tuple[StoryView, ...]
    sprint: SprintView | None


async def project_report(commands: Commands, name: str) -> ProjectReport:
    view = await commands.project(name)
    workflow = await commands.workflow(name)
    return ProjectReport(
        project=view,
        workflow=workflow,
        backlog=await commands.backlog(name),
        sprint=await commands.sprint(name) if workflow.sprint else None,
    )


def report(value: ProjectReport) -> RenderableType:
    parts: list[RenderableType] = [
        _project_table([value.project]),
        Text(f"Possible now: {', '.join(value.workflow.allowed)}", style="dim"),
    ]
    if value.sprint is not None:
        goal = f": {value.sprint.sprint.goal}" if value.sprint.sprint.goal else ""
        parts.append(_story_table(f"Sprint {value.sprint.sprint.number}{goal}", value.sprint.stories))
    planned = {view.story.id for view in value.sprint.stories} if value.sprint else set()
    rest = [view for view in value.backlog if view.story.id not in planned]
    if rest:
        parts.append(_story_table("Backlog", rest))
    return Group(*parts)


def _story_table(title: str, views: Sequence[StoryView]) -> Table:
    table = Table("Story", "Title", "Priority", "Status", "Why", title=Text(title), title_justify="left")
    for view in views:
        table.add_row(
            view.story.id,
            Text(view.story.title),
            str(view.story.priority),
            Text(str(view.status), style=STORY_STYLE.get(view.status, "")),
            Text(view.why),
        )
    return table


def registered(value: Registration) -> RenderableType:
    project = value.project
    text = Text.assemble(
        ("✓ ", "green"), f"{project.name} is registered: {project.path}, main branch {project.main_branch}."
    )
    for note in value.notes:
        text.append(f"\n  • {note}", style="yellow")
    return text.append(f"\n  → Let it work: orchard start {project.name}", style="green")


def started(project: Project, *, running: bool) -> RenderableType:
    text = Text.assemble(("✓ ", "green"), f"{project.name} is {project.status}.")
    if not running:
        text.append("\n  Nothing runs now; it works once Orchard does: orchard run", style="dim")
    return text


def stopped(project: Project) -> RenderableType:
    return Text.assemble(
        ("✓ ", "green"), f"{project.name} is {project.status}; what its agents left is kept."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    candidates: tuple[Candidate, ...]
    registered: tuple[str, ...]
    refused: tuple[str, ...]


async def discover(commands: Commands, paths: Sequence[Path], *, register: bool, actor: str) -> Discovered:
    candidates = await commands.discover_projects(paths)
    done: list[str] = []
    refused: list[str] = []
    for candidate in candidates if register else ():
        if candidate.registered_as is not None:
            continue
        try:
            await commands.register_project(candidate.name, Path(candidate.path), actor=actor)
            done.append(candidate.name)
        except OrchardError as error:
            refused.append(f"{candidate.path}: {error}")
    return Discovered(candidates=candidates, registered=tuple(done), refused=tuple(refused))


def discovered(value: Discovered) -> RenderableType:
    if not value.candidates:
        return Text(
            "No project found there. Name folders that hold git repositories: orchard discover PATH ..."
        )
    table = Table("Name", "Path", "Why", "Registered")
    for candidate in value.candidates:
        name = candidate.registered_as or (candidate.name if candidate.name in value.registered else "")
        table.add_row(
            Text(candidate.name),
            Text(candidate.path),
            Text(", ".join(candidate.reasons)),
            f"yes, as {name}" if name else "no",
        )
    parts: list[RenderableType] = [table]
    parts += [Text(f"✗ {sentence}", style="red") for sentence in value.refused]
    if not value.registered and any(candidate.registered_as is None for candidate in value.candidates):
        parts.append(
            Text(
                "→ Register them: orchard discover --register PATH ..., or one: orchard register NAME PATH",
                style="green",
            )
        )
    return Group(*parts)


def approvals(pending: Sequence[Approval]) -> RenderableType:
    if not pending:
        return Text("Nothing waits for an answer.")
    table = Table(
        "Approval", "Story", "Question", "Why you", "Asked", title="Waits for you", title_justify="left"
    )
    for approval in pending:
        table.add_row(
            approval.id,
            approval.story_id,
            Text(approval.question),
            Text("; ".join(approval.reasons)),
            f"{approval.asked_at:%Y-%m-%d %H:%M} UTC",
        )
    hint = Text("→ orchard approve ID, or orchard approve ID --reject 'what is wrong'", style="green")
    return Group(table, hint)


def answered(approval: Approval) -> RenderableType:
    reason = f": {approval.reason}" if approval.reason else ""
    return Text.assemble(("✓ ", "green"), f"{approval.story_id} is {approval.state}{reason}.")


def doctor(value: Report) -> RenderableType:
    signs = {"ok": ("✓", "green"), "note": ("•", "yellow"), "missing": ("✗", "red")}
    parts: list[RenderableType] = []
    for check in value.checks:
        sign, style = signs[check.state]
        parts.append(Text.assemble((f"{sign} ", style), (f"{check.name}: ", "bold"), check.found))
        if check.mend:
            parts.append(Text(f"    → {check.mend}", style="green"))
    return Group(*parts)
