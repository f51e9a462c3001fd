"""Views of the core as messages. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from cogs.buttons import archive_button
from cogs.chart import NAME
from cogs.figures import with_figures
from cogs.message import Attachment, Button, Card, Field, Look, Message, Tone, paginate
from cogs.text import code, count, cut, fence, link, plain, title, told
from core.domain.github import Address
from core.domain.lifecycles import WORKFLOW, ProjectStatus, WorkflowCommand, WorkflowState
from core.domain.project import Project
from core.domain.story import Sprint, Story, StoryStatus
from core.errors import InvalidTransition, OrchardError
from core.orchestrator.views import (
    ArchiveView,
    ProjectView,
    Registration,
    SprintView,
    StoryView,
    SystemView,
    WorkflowView,
)
from core.projects.discovery import FoundFolder

PROJECT_SIGNS = {
    ProjectStatus.INITIALIZING: "⚪",
    ProjectStatus.ACTIVE: "🟢",
    ProjectStatus.PAUSED: "⏸️",
    ProjectStatus.MAINTENANCE: "🛠️",
    ProjectStatus.ARCHIVED: "🗄️",
}
STORY_SIGNS = {
    StoryStatus.PROPOSED: "💡",
    StoryStatus.BACKLOG: "📋",
    StoryStatus.PLANNED: "🗓️",
    StoryStatus.WAITING: "⏳",
    StoryStatus.RUNNING: "⚙️",
    StoryStatus.AWAITING_APPROVAL: "✋",
    StoryStatus.BLOCKED: "⛔",
    StoryStatus.STOPPED: "⏹️",
    StoryStatus.TAKEN: "🙋",
    StoryStatus.DONE: "✅",
    StoryStatus.SKIPPED: "⏭️",
    StoryStatus.ABORTED: "🛑",
    StoryStatus.REMOVED: "🗑️",
}
_MEANINGS = {
    WorkflowState.IDLE: "Nothing is in the backlog. `/epic` or `/backlog add_story` begins.",
    WorkflowState.BACKLOG_READY: "Stories wait to be planned: `/sprint plan`.",
    WorkflowState.SPRINT_PLANNED: "A sprint is chosen, not started: `/sprint start`.",
    WorkflowState.SPRINT_ACTIVE: "Stories run.",
    WorkflowState.SPRINT_PAUSED: "No new phase starts: `/sprint resume` goes on.",
    WorkflowState.SPRINT_REVIEW: "Every story ended. `/sprint review` shows it; `/feedback` closes it.",
    WorkflowState.BLOCKED: "Nothing can run until a person helps: `/suggest_fix` or `/skip_task`.",
}


def refusal(error: OrchardError) -> Message:
    """What went wrong, why, and what to do next."""
    fields = []
    if error.why:
        fields.append(Field(name="Why", value=told(error.why, 1000)))
    if error.hint:
        fields.append(Field(name="What you can do", value=told(error.hint, 1000)))
    return Message(cards=(Card(body=f"⚠️ {told(error.message, 1500)}", fields=tuple(fields), tone=Tone.BAD),))


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
    if view.refused_settings:
        lines += (f"⚠️ **The changed settings are not in force.** {plain(view.refused_settings, 800)}",)
    lines = lines or ("No project yet: `/project_register` adds one.",)
    asked = tuple(
        f"✋ {code(a.story_id)} {title(a.question, 180)} · {stamp(a.asked_at.timestamp(), 'R')}"
        for a in view.pending_approvals
    )
    tone = Tone.ASK if view.pending_approvals else Tone.BAD if blocked else Tone.GOOD
    shown = paged("Orchard", head, (*lines, *asked), page, what="status", argument="-", tone=tone)
    return shown if view.figures is None else with_figures(shown, view.figures)


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
    return paged("Projects", "", lines, page, what="projects", argument="-")


def project_registered(registration: Registration) -> Message:
    project = registration.project
    notes = "".join(f"\n⚠️ {plain(note)}" for note in registration.notes)
    return done(
        f"Registered {code(project.name)}",
        f"{code(str(project.path))}, branch {code(project.main_branch)}.{notes}\n"
        f"Next: `/project_start` and `/backlog add_story`.",
    )


def project_moved(project: Project) -> Message:
    return done(
        f"{code(project.name)} is {project.status}", f"{PROJECT_SIGNS[project.status]} {_next(project)}"
    )


def archive_asked(view: ProjectView) -> Message:
    """The question before it. Raises InvalidTransition for one that is archived."""
    name, status = view.project.name, view.project.status
    if status is ProjectStatus.ARCHIVED:
        raise InvalidTransition(
            f"{name} is archived already.", hint=f"/project_reopen {name} brings it back."
        )
    works = [f"{view.running} running"] if view.running else []
    works += [f"{view.waiting} waiting"] if view.waiting else []
    lines = [
        "Its agents are stopped, and its questions are withdrawn.",
        "What Orchard knows of it is written to a file on its machine. Its checkout stays as it is.",
        "`/project_reopen` brings it back, with all its history.",
        *([f"Stories: {', '.join(works)}."] if works else []),
    ]
    card = Card(title=cut(f"Archive {name}?", 250), body="\n".join(lines), tone=Tone.ASK)
    return Message(cards=(card,), buttons=(archive_button(name),))


def project_archived(made: ArchiveView) -> Message:
    return done(
        f"{code(made.project.name)} is {made.project.status}",
        f"{PROJECT_SIGNS[made.project.status]} What Orchard knew of it: {code(made.path, 300)}, "
        f"{made.rows:,} rows.\n`/project_reopen` brings it back.",
    )


def candidates(found: Sequence[FoundFolder]) -> Message:
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
    return paged(f"Backlog of {project}", "", lines, page, what="backlog", argument=project)


def sprint(view: SprintView, page: int = 0, note: str = "") -> Message:
    counts = f"{sum(v.status is StoryStatus.DONE for v in view.stories)} of {len(view.stories)} done"
    head = "\n".join(
        part for part in (note, goal(view.sprint), f"{sprint_state(view.sprint)} · {counts}") if part
    )
    lines = tuple(story_line(story) for story in view.stories) or ("No stories.",)
    return paged(
        f"Sprint {view.sprint.number} of {view.sprint.project}",
        head,
        lines,
        page,
        what="sprint",
        argument=view.sprint.project,
    )


def workflow(view: WorkflowView) -> Message:
    """Where a project stands, with the buttons to its three other looks."""
    status = view.project.status
    sprint_text = ""
    if view.sprint:
        sprint_text = f"\nSprint {view.sprint.number}. {goal(view.sprint)}".rstrip()
    allowed = " ".join(f"`/{command}`" for command in view.allowed) or "nothing"
    card = Card(
        title=f"{view.project.name}: {view.state}",
        body=f"{_MEANINGS[view.state]}\nThe project is {PROJECT_SIGNS[status]} {status}.{sprint_text}",
        fields=(Field(name="You can now", value=allowed),),
    )
    return Message(cards=(card,), buttons=_state_buttons(view.project.name, "state"))


def allowed_commands(view: WorkflowView) -> Message:
    """Every command that the workflow knows: what it does now, or in which states it is possible."""
    lines = []
    for command in WorkflowCommand:
        if command in view.allowed:
            after = WORKFLOW[(view.state, command)]
            lines.append(f"✅ `/{command}`" + (f" → {after}" if after is not view.state else ""))
        else:
            states = [state for state in WorkflowState if (state, command) in WORKFLOW]
            lines.append(f"▫️ `/{command}` · in {', '.join(states)}")
    card = Card(title=f"{view.project.name} is {view.state}", body="\n".join(lines))
    return Message(cards=(card,), buttons=_state_buttons(view.project.name, "commands"))


def state_diagram(view: WorkflowView, picture: bytes | None) -> Message:
    """The states with the present one lit; in words where there is no picture."""
    buttons = _state_buttons(view.project.name, "diagram")
    heading = f"{view.project.name}: {view.state}"
    if picture is not None:
        card = Card(title=heading, image=NAME)
        return Message(cards=(card,), buttons=buttons, attachments=(Attachment(name=NAME, data=picture),))
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in WORKFLOW.items():
        if before is not after:
            arrows.setdefault((before, after), []).append(str(event))
    lines = [
        f"{'**' if before == view.state else ''}{before} → {after}{'**' if before == view.state else ''}: "
        f"{', '.join(words)}"
        for (before, after), words in arrows.items()
    ]
    body = "The picture could not be drawn; these are its arrows.\n" + "\n".join(lines)
    return Message(cards=(Card(title=heading, body=body),), buttons=buttons)


def project_status(view: ProjectView, workflow_view: WorkflowView, *, buttons: bool = False) -> Message:
    """Everything of a project at one glance."""
    project, worker = view.project, view.worker
    memory = f", {worker.memory_mb:.0f} MB" if worker.memory_mb is not None else ""
    pid = f", process {worker.pid}" if worker.pid is not None else ""
    detail = f"\n{plain(worker.detail, 300)}" if worker.detail else ""
    sprint_view = workflow_view.sprint
    fields = [
        Field(name="Stories", value=_counts(view) or "nothing to do", inline=True),
        Field(name="Worker", value=f"{worker.state}{pid}{memory}{detail}", inline=True),
    ]
    if sprint_view is not None:
        head = f"Sprint {sprint_view.number} · {sprint_state(sprint_view)}\n{goal(sprint_view)}"
        fields.append(Field(name="Sprint", value=head))
    if view.problem:
        fields.append(Field(name="Its settings cannot be used", value=plain(view.problem, 900)))
    if view.not_in_force:
        keys = ", ".join(code(key) for key in view.not_in_force)
        fields.append(Field(name="Set, and not yet in force", value=keys))
    card = Card(
        title=f"{PROJECT_SIGNS[project.status]} {project.name} · {project.status} · {project.workflow}",
        body=f"{code(str(project.path), 300)}, branch {code(project.main_branch)}, priority {view.priority}",
        fields=tuple(fields),
        tone=Tone.BAD if view.problem or view.blocked else Tone.ASK if view.pending_approvals else Tone.GOOD,
    )
    return Message(cards=(card,), buttons=_state_buttons(project.name, "project") if buttons else ())


def _state_buttons(project: str, shown: str) -> tuple[Button, ...]:
    looks = (("commands", "Allowed commands"), ("diagram", "State diagram"), ("project", "Project status"))
    return tuple(
        Button(label=label, verb="state", target=f"{what}:{project}", disabled=what == shown)
        for what, label in looks
    )


def story_helped(view: StoryView, text: str) -> Message:
    return done(f"{code(view.story.id)} goes on", f"{fence(text, limit=1500)}\n{story_line(view)}")


def story_skipped(view: StoryView, reason: str) -> Message:
    body = f"⏭️ {title(view.story.title)}" + (f"\nReason: {plain(reason, 1500)}" if reason else "")
    return done(f"{code(view.story.id)} is out of the sprint", body)


def feedback_taken(view: WorkflowView) -> Message:
    return done(f"Thank you. {view.project.name} is {view.state}", "The sprint is closed with your words.")


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
    if criteria:
        line += _facts(view)
    if view.addresses:
        line += " · " + " · ".join(address_link(one) for one in view.addresses)
    if view.why:
        line += f"\n  {told(view.why, 300)}"
    return line


def address_link(address: Address) -> str:
    words = f"#{address.number}" if address.what == "issue" else f"{address.what} #{address.number}"
    return link(words, address.url)


def _facts(view: StoryView) -> str:
    """What a story in a list is planned by."""
    story = view.story
    parts = [
        count(story.estimate, "point") if story.estimate is not None else "",
        count(len(story.acceptance_criteria), "criterion", "criteria") if story.acceptance_criteria else "",
        "needs " + ", ".join(code(need) for need in view.needs[:5]) if view.needs else "",
        " ".join(code(label, 30) for label in story.labels[:5]),
    ]
    return "".join(f" · {part}" for part in parts if part)


def sprint_state(sprint: Sprint) -> str:
    if sprint.ended_at:
        return f"ended {stamp(sprint.ended_at.timestamp(), 'R')}"
    if sprint.started_at:
        return f"started {stamp(sprint.started_at.timestamp(), 'R')}"
    return "planned, not started: `/sprint start`"


def goal(sprint: Sprint) -> str:
    return f"Goal: {plain(sprint.goal, 500)}" if sprint.goal else ""


def stamp(seconds: float, style: str) -> str:
    return f"<t:{int(seconds)}:{style}>"


def _project_line(view: ProjectView) -> str:
    project = view.project
    worker = f" · worker {view.worker.state}" if view.worker.state not in {"stopped", "running"} else ""
    detail = f" ({plain(view.worker.detail, 150)})" if worker and view.worker.detail else ""
    problem = f"\n  ⚠️ {plain(view.problem, 400)}" if view.problem else ""
    return (
        f"{PROJECT_SIGNS[project.status]} **{project.name}** · {project.status} · {project.workflow} · "
        f"{_counts(view) or 'nothing to do'}{worker}{detail}{problem}"
    )


def _counts(view: ProjectView) -> str:
    counted = (
        (view.running, "running"),
        (view.waiting, "waiting"),
        (view.blocked, "blocked"),
        (view.done, "done"),
        (view.pending_approvals, "to approve"),
    )
    return ", ".join(f"{number} {word}" for number, word in counted if number)


def _next(project: Project) -> str:
    if project.status is ProjectStatus.ACTIVE:
        return "Stories of its sprint run."
    if project.status is ProjectStatus.MAINTENANCE:
        return "Nothing runs while something outside is mended. `/project_start` lets it work again."
    return "No new phase starts; what runs is stopped and goes on from its last passed gate."


def done(heading: str, body: str) -> Message:
    return Message(cards=(Card(title=cut(heading, 250), body=body, tone=Tone.GOOD),))


def paged(
    heading: str,
    head: str,
    lines: tuple[str, ...],
    page: int,
    *,
    what: str,
    argument: str,
    tone: Tone = Tone.NEUTRAL,
    size: int = 3800,
) -> Message:
    """One page of lines, of at most `size` characters, with buttons to the others. A page that is no longer
    there shows the last one."""
    pages = paginate(lines, size=size)
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
