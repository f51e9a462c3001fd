"""Views of the core as messages. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from cogs.message import Button, Card, Field, Look, Message, Tone, paginate
from cogs.text import code, cut, fence, plain, title
from core.domain.lifecycles import ProjectStatus, WorkflowCommand
from core.domain.project import Project
from core.domain.story import Sprint, Story, StoryStatus
from core.errors import OrchardError
from core.orchestrator.views import (
    Candidate,
    ProjectView,
    Registration,
    SprintView,
    StoryView,
    SystemView,
    WorkflowView,
)

PROJECT_SIGNS = {
    ProjectStatus.INITIALIZING: "⚪",
    ProjectStatus.ACTIVE: "🟢",
    ProjectStatus.PAUSED: "⏸️",
    ProjectStatus.MAINTENANCE: "🛠️",
    ProjectStatus.ARCHIVED: "🗄️",
}
STORY_SIGNS = {
    StoryStatus.BACKLOG: "📋",
    StoryStatus.PLANNED: "🗓️",
    StoryStatus.WAITING: "⏳",
    StoryStatus.RUNNING: "⚙️",
    StoryStatus.AWAITING_APPROVAL: "✋",
    StoryStatus.BLOCKED: "⛔",
    StoryStatus.DONE: "✅",
    StoryStatus.SKIPPED: "⏭️",
    StoryStatus.ABORTED: "🛑",
    StoryStatus.REMOVED: "🗑️",
}
# How a workflow command is typed; what is not here has no command in Discord yet.
TYPED = {
    WorkflowCommand.SPRINT_PLAN: "/sprint plan",
    WorkflowCommand.SPRINT_START: "/sprint start",
    WorkflowCommand.SPRINT_STATUS: "/sprint status",
    WorkflowCommand.SPRINT_PAUSE: "/sprint pause",
    WorkflowCommand.SPRINT_RESUME: "/sprint resume",
    WorkflowCommand.SUGGEST_FIX: "/suggest_fix",
    WorkflowCommand.SKIP_TASK: "/skip_task",
    WorkflowCommand.FEEDBACK: "/feedback",
    WorkflowCommand.STATE: "/state",
    WorkflowCommand.BACKLOG_VIEW: "/backlog view",
    WorkflowCommand.BACKLOG_ADD_STORY: "/backlog add_story",
}


def refusal(error: OrchardError) -> Message:
    """What went wrong, why, and what to do next."""
    fields = []
    if error.why:
        fields.append(Field(name="Why", value=plain(error.why, 1000)))
    if error.hint:
        fields.append(Field(name="What you can do", value=plain(error.hint, 1000)))
    return Message(cards=(Card(body=f"⚠️ {plain(error.message, 1500)}", fields=tuple(fields), tone=Tone.BAD),))


def breakdown(error_id: str) -> Message:
    """A fault of ours: the log has the rest under the same id."""
    return Message(
        cards=(
            Card(
                body="💥 Something went wrong inside Orchard. Nothing that was saved is lost.",
                fields=(
                    Field(
                        name="What you can do",
                        value=f"Try again. If it stays, look for {code(error_id)} in Orchard's log.",
                    ),
                ),
                tone=Tone.BAD,
            ),
        )
    )


def system_status(view: SystemView, page: int = 0) -> Message:
    running = sum(p.running for p in view.projects)
    blocked = sum(p.blocked for p in view.projects)
    state = "running" if view.running and view.startup_complete else "starting" if view.running else "stopped"
    head = (
        f"Orchard is **{state}** · {len(view.projects)} projects · {running} running · {blocked} blocked · "
        f"{len(view.pending_approvals)} waiting for an answer\n"
        f"CPU {view.cpu_percent:.0f} % · memory {view.memory_percent:.0f} % · "
        f"isolation {plain(view.isolation, 200)} · Discord: {plain(view.discord, 200)}"
    )
    lines = tuple(_project_line(project) for project in view.projects)
    lines += tuple(f"⚠️ **{title(name, 60)}** {plain(why, 400)}" for name, why in view.unusable.items())
    lines = lines or ("No project yet: `/project_register` adds one.",)
    asked = tuple(
        f"✋ {code(a.story_id)} {title(a.question, 180)} · {_stamp(a.asked_at.timestamp(), 'R')}"
        for a in view.pending_approvals
    )
    tone = Tone.ASK if view.pending_approvals else Tone.BAD if blocked else Tone.GOOD
    return _paged("Orchard", head, (*lines, *asked), page, what="status", argument="-", tone=tone)


def project_list(views: Sequence[ProjectView], page: int = 0) -> Message:
    lines = tuple(
        f"{_project_line(v)}\n  {code(str(v.project.path))} · branch {code(v.project.main_branch)} · "
        f"priority {v.priority}"
        + (
            f"\n  not yet in force: {', '.join(code(key) for key in v.not_in_force)}"
            if v.not_in_force
            else ""
        )
        for v in views
    )
    lines = lines or ("No project yet: `/project_register` adds one, `/project_discover` finds some.",)
    return _paged("Projects", "", lines, page, what="projects", argument="-")


def project_registered(registration: Registration) -> Message:
    project = registration.project
    notes = "".join(f"\n⚠️ {plain(note)}" for note in registration.notes)
    return _done(
        f"Registered {code(project.name)}",
        f"{code(str(project.path))}, branch {code(project.main_branch)}.{notes}\n"
        f"Next: `/project_start` and `/backlog add_story`.",
    )


def project_moved(project: Project) -> Message:
    return _done(
        f"{code(project.name)} is {project.status}", f"{PROJECT_SIGNS[project.status]} {_next(project)}"
    )


def candidates(found: Sequence[Candidate]) -> Message:
    """All in one card: folders have no short name to page by; what is too long is attached."""
    lines = [
        f"{'✅' if c.registered_as else '🔎'} **{title(c.name, 60)}** {code(c.path, 300)}\n  "
        + (f"registered as {code(c.registered_as)} · " if c.registered_as else "")
        + plain("; ".join(c.reasons), 300)
        for c in found
    ]
    body = "\n".join(lines) or "Nothing that looks like a project. Name the folder that holds your checkouts."
    return Message(cards=(Card(title="Found", body=body, footer="add one with /project_register"),))


def story_added(story: Story) -> Message:
    criteria = "\n".join(f"☐ {plain(text, 400)}" for text in story.acceptance_criteria)
    fields = [Field(name="Acceptance criteria", value=criteria)] if criteria else []
    return Message(
        cards=(
            Card(
                title=f"📋 {story.id} · {title(story.title)}",
                body=plain(story.body, 3500),
                fields=tuple(fields),
                footer=f"priority {story.priority} · next: /sprint plan",
                tone=Tone.GOOD,
            ),
        )
    )


def backlog(project: str, views: Sequence[StoryView], page: int = 0) -> Message:
    lines = tuple(story_line(view, criteria=True) for view in views)
    lines = lines or ("Empty. `/backlog add_story` adds a story.",)
    return _paged(f"Backlog of {project}", "", lines, page, what="backlog", argument=project)


def sprint(view: SprintView, page: int = 0, note: str = "") -> Message:
    counts = f"{sum(v.status is StoryStatus.DONE for v in view.stories)} of {len(view.stories)} done"
    head = "\n".join(
        part for part in (note, _goal(view.sprint), f"{sprint_state(view.sprint)} · {counts}") if part
    )
    lines = tuple(story_line(story) for story in view.stories) or ("No stories.",)
    return _paged(
        f"Sprint {view.sprint.number} of {view.sprint.project}",
        head,
        lines,
        page,
        what="sprint",
        argument=view.sprint.project,
    )


def workflow(view: WorkflowView) -> Message:
    allowed = [TYPED[command] for command in view.allowed if command in TYPED]
    later = [str(command) for command in view.allowed if command not in TYPED]
    fields = [Field(name="You can now", value=" ".join(f"`{text}`" for text in allowed) or "nothing")]
    if later:
        fields.append(Field(name="Allowed, but not built yet", value=", ".join(later)))
    status = view.project.status
    sprint_text = f"\n{_goal(view.sprint)} (sprint {view.sprint.number})" if view.sprint else ""
    return Message(
        cards=(
            Card(
                title=f"{view.project.name}: {view.state}",
                body=f"The project is {PROJECT_SIGNS[status]} {status}.{sprint_text}",
                fields=tuple(fields),
            ),
        )
    )


def story_helped(view: StoryView, text: str) -> Message:
    return _done(f"{code(view.story.id)} goes on", f"{fence(text, limit=1500)}\n{story_line(view)}")


def story_skipped(view: StoryView, reason: str) -> Message:
    body = f"⏭️ {title(view.story.title)}" + (f"\nReason: {plain(reason, 1500)}" if reason else "")
    return _done(f"{code(view.story.id)} is out of the sprint", body)


def feedback_taken(view: WorkflowView) -> Message:
    return _done(f"Thank you. {view.project.name} is {view.state}", "The sprint is closed with your words.")


def story_line(view: StoryView, *, criteria: bool = False) -> str:
    story, cycle = view.story, view.cycle
    phase = f" · {cycle.state}" if cycle and cycle.state.phase else ""
    attempt = f", try {cycle.attempt}" if cycle and cycle.state.phase and cycle.attempt > 1 else ""
    line = (
        f"{STORY_SIGNS[view.status]} {code(story.id)} **{title(story.title, 120)}** · "
        f"{view.status}{phase}{attempt}"
    )
    if story.priority != "normal":
        line += f" · {story.priority}"
    if criteria and story.acceptance_criteria:
        line += f" · {len(story.acceptance_criteria)} criteria"
    if view.why:
        line += f"\n  {plain(view.why, 300)}"
    return line


def sprint_state(sprint: Sprint) -> str:
    if sprint.ended_at:
        return f"ended {_stamp(sprint.ended_at.timestamp(), 'R')}"
    if sprint.started_at:
        return f"started {_stamp(sprint.started_at.timestamp(), 'R')}"
    return "planned, not started: `/sprint start`"


def _goal(sprint: Sprint) -> str:
    return f"Goal: {plain(sprint.goal, 500)}" if sprint.goal else ""


def _stamp(seconds: float, style: str) -> str:
    return f"<t:{int(seconds)}:{style}>"


def _project_line(view: ProjectView) -> str:
    project = view.project
    counts = [
        f"{number} {word}"
        for number, word in (
            (view.running, "running"),
            (view.waiting, "waiting"),
            (view.blocked, "blocked"),
            (view.done, "done"),
            (view.pending_approvals, "to approve"),
        )
        if number
    ]
    worker = f" · worker {view.worker.state}" if view.worker.state not in {"stopped", "running"} else ""
    detail = f" ({plain(view.worker.detail, 150)})" if worker and view.worker.detail else ""
    problem = f"\n  ⚠️ {plain(view.problem, 400)}" if view.problem else ""
    return (
        f"{PROJECT_SIGNS[project.status]} **{project.name}** · {project.status} · {project.workflow} · "
        f"{', '.join(counts) or 'nothing to do'}{worker}{detail}{problem}"
    )


def _next(project: Project) -> str:
    if project.status is ProjectStatus.ACTIVE:
        return "Stories of its sprint run."
    return "No new phase starts; what runs is stopped and goes on from its last passed gate."


def _done(heading: str, body: str) -> Message:
    return Message(cards=(Card(title=cut(heading, 250), body=body, tone=Tone.GOOD),))


def _paged(
    heading: str,
    head: str,
    lines: tuple[str, ...],
    page: int,
    *,
    what: str,
    argument: str,
    tone: Tone = Tone.NEUTRAL,
) -> Message:
    """One page of lines with buttons to the others. A page that is no longer there shows the last one."""
    pages = paginate(lines)
    page = min(max(page, 0), len(pages) - 1)
    body = "\n".join(part for part in (head, *pages[page]) if part)
    if len(pages) == 1:
        return Message(cards=(Card(title=heading, body=body, tone=tone),))
    buttons = (
        Button(label="Back", verb="page", target=f"{what}:{argument}:{page - 1}", disabled=page == 0),
        Button(
            label="More",
            verb="page",
            target=f"{what}:{argument}:{page + 1}",
            look=Look.PRIMARY,
            disabled=page == len(pages) - 1,
        ),
    )
    card = Card(title=heading, body=body, footer=f"page {page + 1} of {len(pages)}", tone=tone)
    return Message(cards=(card,), buttons=buttons)
