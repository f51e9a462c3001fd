"""What the terminal shows: values from core as rich renderables. Pure.

Text that came from outside (titles, paths, an agent's words) goes through `clean`: it is never read as
markup, and cannot send control sequences to a terminal. 80 columns are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bot.cli.words import possible, translated
from core.domain.approval import what_then, who_may
from core.domain.lifecycles import ProjectStatus
from core.domain.story import Priority, StoryStatus

if TYPE_CHECKING:
    from bot.cli.findings import Report
    from bot.cli.questions import Discovered, ProjectReport
    from core.domain.approval import Approval
    from core.domain.project import Project
    from core.domain.story import Story
    from core.errors import OrchardError
    from core.orchestrator.views import (
        ImportView,
        ProjectView,
        Registration,
        SprintView,
        StoryDetail,
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


def clean(text: str) -> str:
    """Without what steers a terminal, and without characters that turn the reading direction."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def failure(error: OrchardError, *, in_shell: bool = False) -> RenderableType:
    """What happened, why, what to do: each on lines of its own."""
    message = translated(clean(error.message), in_shell=in_shell)
    parts: list[RenderableType] = [Text.assemble(("✗ ", "bold red"), (message, "bold"))]
    if why := error.why.strip("\n"):
        parts += [_indented(line.strip()) for line in why.splitlines()]
    if error.hint:
        parts.append(_next(translated(error.hint, in_shell=in_shell)))
    return Group(*parts)


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(clean(text), style=style), (0, 0, 0, 2), expand=False)


def _next(hint: str) -> Padding:
    return _indented(f"→ {hint}", "green")


def _to(in_shell: bool) -> str:
    return "" if in_shell else "orchard "


def _done(sentence: str) -> Text:
    return Text.assemble(("✓ ", "green"), clean(sentence))


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
        head.append(f"Machine: CPU {view.cpu_percent:.0f} %, memory {view.memory_percent:.0f} %")
    else:
        where = f" in {clean(root)}" if root else ""
        head.append(f"Nothing runs{where} now. Start it: orchard run", style="dim")
    parts: list[RenderableType] = [head]
    if view.projects:
        parts.append(_project_table(view.projects))
    parts += faults(view)
    if view.pending_approvals:
        parts.append(approvals(view.pending_approvals, in_shell=in_shell))
    return Group(*parts)


def faults(view: SystemView) -> list[RenderableType]:
    """What keeps configured projects from working, one block a project."""
    wrong = {each.project.name: each.problem for each in view.projects if each.problem} | dict(view.unusable)
    return [_fault(name, why) for name, why in wrong.items()]


def _fault(name: str, why: str) -> RenderableType:
    lines = [line.strip() for line in why.strip().splitlines() if line.strip()]
    head = Text.assemble(("⚠ ", "yellow"), (f"{clean(name)}: ", "bold"), clean(lines[0]))
    return Group(head, *(_indented(line) for line in lines[1:]))


def _project_table(views: Sequence[ProjectView]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Project", style="bold", overflow="fold")
    for name in ("Status", "Workflow"):
        table.add_column(name, no_wrap=True)
    table.add_column("Stories", overflow="fold")
    with_worker = any(view.worker.state not in ("stopped", "running") for view in views)
    if with_worker:
        table.add_column("Worker", overflow="fold")
    for view in views:
        worker = [Text(clean(f"{view.worker.state} {view.worker.detail}".strip()))] if with_worker else []
        table.add_row(
            view.project.name, str(view.project.status), str(view.project.workflow), _counts(view), *worker
        )
    return table


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
        return Text(f"No project is registered yet. Register one: {_to(in_shell)}register NAME PATH")
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
            parts += [_indented(f"  ⚠ {line}", "yellow") for line in view.problem.split("\n") if line.strip()]
    return Group(*parts)


def report(value: ProjectReport, *, in_shell: bool = False) -> RenderableType:
    """One project: its counts, sprint and backlog."""
    allowed = possible(value.workflow.allowed)
    parts: list[RenderableType] = [_project_table([value.project])]
    if value.project.problem:
        parts.append(_fault(value.project.project.name, value.project.problem))
    where = "" if in_shell else " in orchard shell"
    parts.append(Text(f"Possible now{where}: {allowed}", style="dim"))
    if value.sprint is not None:
        goal = f": {clean(value.sprint.sprint.goal)}" if value.sprint.sprint.goal else ""
        parts.append(_story_table(f"Sprint {value.sprint.sprint.number}{goal}", value.sprint.stories))
    planned = {view.story.id for view in value.sprint.stories} if value.sprint else set()
    rest = [view for view in value.backlog if view.story.id not in planned]
    if rest:
        parts.append(_story_table("Backlog", rest))
    return Group(*parts)


def registered(value: Registration, *, in_shell: bool = False) -> RenderableType:
    project = value.project
    parts: list[RenderableType] = [
        _done(f"{project.name} is registered: {project.path}, main branch {project.main_branch}.")
    ]
    parts += [_indented(f"• {note}", "yellow") for note in value.notes]
    if project.status is not ProjectStatus.ACTIVE:
        parts.append(_next(f"Let it work: {_to(in_shell)}start {project.name}"))
    else:
        parts.append(_indented(f"It is {project.status}, as its settings say.", "dim"))
    return Group(*parts)


def imported(value: ImportView, *, in_shell: bool = False) -> RenderableType:
    """What came out of another tool's `.orch-state`, or with nothing moved yet: what would come."""
    came = "came into" if value.kept else "would come into"
    parts: list[RenderableType] = [
        _done(
            f"{_counted(len(value.waiting), 'story', 'stories')} {came} the backlog of {value.project}; "
            f"{value.done} done there already, {_counted(value.epics, 'epic')}, "
            f"{_counted(value.sprints, 'finished sprint')}"
            + (f"; {value.known} had come before." if value.known else ".")
        )
    ]
    parts += [_indented(f"+ {title}", "") for title in value.waiting[:20]]
    if len(value.waiting) > 20:
        parts.append(_indented(f"and {len(value.waiting) - 20} more", "dim"))
    parts += [_indented(f"• {note}", "yellow") for note in value.notes]
    if value.kept:
        parts.append(_indented(f"The other tool's files are in {value.kept} now.", "dim"))
        if value.waiting:
            parts.append(
                _next(f"Choose a sprint: plan {value.project}{'' if in_shell else ' (in orchard shell)'}")
            )
    else:
        parts.append(_next(f"Take it over: orchard import {value.project}"))
    return Group(*parts)


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def started(project: Project, *, running: bool) -> RenderableType:
    text = _done(f"{project.name} is {project.status}.")
    if not running:
        text.append("\n  Nothing runs now; it works once Orchard does: orchard run", style="dim")
    return text


def stopped(project: Project) -> RenderableType:
    return _done(f"{project.name} is {project.status}; what its agents left is kept.")


def discovered(value: Discovered, *, in_shell: bool = False) -> RenderableType:
    if not value.candidates:
        hint = f"Name folders that hold git repositories: {_to(in_shell)}discover PATH ..."
        return Text(f"No project found there. {hint}")
    parts: list[RenderableType] = []
    for candidate in value.candidates:
        name = candidate.registered_as or (candidate.name if candidate.name in value.registered else "")
        new = "" if candidate.registered_as or not name else " now"
        state = (f" (registered{new} as {name})", "green") if name else (" (not registered)", "yellow")
        parts.append(Text.assemble((clean(candidate.name), "bold"), state))
        parts.append(_indented(candidate.path))
        parts.append(_indented("; ".join(candidate.reasons), "dim"))
    parts += [Text(clean(f"✗ {sentence}"), style="red") for sentence in value.refused]
    if (
        not value.registered
        and not value.refused
        and any(candidate.registered_as is None for candidate in value.candidates)
    ):
        parts.append(_next(f"Register them: {_to(in_shell)}discover --register PATH ..."))
        parts.append(_next(f"Or one: {_to(in_shell)}register NAME PATH"))
    return Group(*parts)


# -- stories ---------------------------------------------------------------------------------------


def _story_table(title: str, views: Sequence[StoryView]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(title, style="bold"), title_justify="left")
    table.add_column("Story", overflow="fold")
    table.add_column("Title", overflow="fold", max_width=32)
    table.add_column("Priority", no_wrap=True)
    table.add_column("Status", overflow="fold")
    table.add_column("Why", overflow="fold")
    for view in views:
        table.add_row(
            view.story.id,
            Text(clean(view.story.title)),
            str(view.story.priority),
            Text(str(view.status), style=STORY_STYLE.get(view.status, "")),
            Text(clean(view.why)),
        )
    return table


def story_added(story: Story) -> RenderableType:
    return _done(f"{story.id}: {story.title}")


def story_moved(view: StoryView) -> RenderableType:
    return _done(f"{view.story.id} is {view.status}.")


def story(value: StoryDetail) -> RenderableType:
    """A story with what was proven of it so far."""
    view = value.view
    status = (str(view.status), STORY_STYLE.get(view.status, ""))
    parts: list[RenderableType] = [
        Text.assemble((view.story.id, "bold"), f": {clean(view.story.title)} (", status, ")")
    ]
    if view.story.body:
        parts.append(_indented(view.story.body))
    parts += [_indented(f"• {criterion}") for criterion in view.story.acceptance_criteria]
    if view.why:
        parts.append(_indented(view.why))
    for gate in value.gates:
        sign = ("✓", "green") if gate.verdict.passed else ("✗", "red")
        parts.append(Text.assemble("  ", sign, f" {gate.phase}, attempt {gate.attempt}"))
        parts.append(Padding(Text(clean(gate.verdict.explain())), (0, 0, 0, 4), expand=False))
    return Group(*parts)


def planned(view: SprintView, *, in_shell: bool = False) -> RenderableType:
    count = f"{len(view.stories)} {'story' if len(view.stories) == 1 else 'stories'}"
    name = view.sprint.project
    return Group(
        _done(f"Sprint {view.sprint.number} of {name}: {count}."), _next(f"{_to(in_shell)}sprint {name}")
    )


def workflow(view: WorkflowView) -> RenderableType:
    return _done(f"{view.project.name} is {view.state}.")


# -- approvals -------------------------------------------------------------------------------------


def approvals(pending: Sequence[Approval], *, in_shell: bool = False) -> RenderableType:
    """Blocks, since questions and reasons are long."""
    if not pending:
        return Text("Nothing waits for an answer.")
    parts: list[RenderableType] = [Text("Waits for you:", style="bold")]
    for approval in pending:
        asked = f"asked {approval.asked_at:%Y-%m-%d %H:%M} UTC"
        head = Text.assemble("  ", (approval.id, "bold"), f"  {approval.story_id}, {asked}")
        question = Padding(Text(clean(approval.question)), (0, 0, 0, 4), expand=False)
        parts += [head, question]
        facts = Text(clean("\n".join(_facts(approval))), style="dim")
        parts.append(Padding(facts, (0, 0, 0, 4), expand=False))
    first = pending[0].id
    show, reject = (
        (f"{_to(in_shell)}approve {first} --show", f"{_to(in_shell)}approve {first} --reject REASON")
        if not in_shell
        else (f"show {first}", f"reject {first} REASON")
    )
    parts += [_next(f"What it is about: {show}"), _next(f"{_to(in_shell)}approve {first}"), _next(reject)]
    return Group(*parts)


def _facts(approval: Approval) -> list[str]:
    """Why people are asked, who may answer, until when, and what then; or what the answer was."""
    facts = [f"Why you: {'; '.join(approval.reasons)}"] if approval.reasons else []
    if approval.answered_at is not None:
        because = f": {approval.reason}" if approval.reason else ""
        at = f"{approval.answered_at:%Y-%m-%d %H:%M} UTC"
        return [*facts, f"{str(approval.state).capitalize()} by {approval.answered_by}, {at}{because}"]
    facts.append(f"Who may answer in Discord: {who_may(approval)}")
    if approval.due_at is not None:
        facts.append(
            f"Until {approval.due_at:%Y-%m-%d %H:%M} UTC; unanswered by then, {what_then(approval)}"
        )
    return facts


def approval(value: Approval, *, in_shell: bool = False) -> RenderableType:
    """With the whole command or diff."""
    detail = Text()
    for line in clean(value.detail).splitlines():
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        detail.append(f"{line}\n", style=style)
    if value.answered_at is None:
        return Group(detail, approvals([value], in_shell=in_shell))
    return Group(detail, _done(f"{value.story_id} is {value.state}."), _indented("\n".join(_facts(value))))


def answered(approval: Approval) -> RenderableType:
    reason = f": {approval.reason}" if approval.reason else ""
    return _done(f"{approval.story_id} is {approval.state}{reason}.")


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
