"""A story: how far it is and why, its questions, what its agent says now, its changes and gates."""

from __future__ import annotations

from nicegui import ui

from bot.web.dashboard import signs
from bot.web.dashboard.answers import answer
from bot.web.dashboard.changes import changes_view
from bot.web.dashboard.controls import work_on_story
from bot.web.dashboard.fragments import Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.questions import drawn_question
from bot.web.dashboard.shell import Parts, act, heading_parts, show
from bot.web.dashboard.views.controls import of_story
from bot.web.dashboard.views.story import StoryPicture, story_picture
from bot.web.dashboard.views.transcript import Transcript, transcript_of
from bot.web.visitors import person_of
from core.domain.approval import ApprovalState
from core.domain.story import StoryStatus
from core.errors import NotFound
from core.runtime import Runtime
from core.security.access import Action

_EVENTS = 60
_QUIET = frozenset({"note", "prompt", "done", "thought", "usage", "stops", "end"})


def story_view(runtime: Runtime, story_id: str) -> View[StoryPicture]:
    commands = runtime.commands

    async def look() -> StoryPicture:
        now = runtime.progress.get(story_id)
        return story_picture(
            await commands.story(story_id),
            await commands.why(story_id),
            await commands.story_log(story_id, limit=_EVENTS),
            f"{now.step}: {now.text}" if now is not None and now.text else "",
        )

    project = story_id.rpartition("-")[0]
    return View(name=f"story {story_id}", look=look, seconds=3, wakes=lambda event: event.project == project)


def transcript_view(runtime: Runtime, story_id: str) -> View[Transcript]:
    """Read again while its agent is at work, and once after."""
    commands = runtime.commands
    known: list[Transcript] = []
    ran = [True]

    async def look() -> Transcript:
        runs = (await commands.story(story_id)).view.status is StoryStatus.RUNNING
        if not known or runs or ran[0]:
            try:
                known[:] = [transcript_of(await commands.transcript(story_id))]
            except NotFound:
                known[:] = [transcript_of("")]
        ran[0] = runs
        return known[0]

    return View(
        name=f"transcript {story_id}", look=look, seconds=1.5, wakes=lambda event: event.story_id == story_id
    )


def head_parts(picture: StoryPicture) -> Parts:
    story = picture.story
    begin = f"/projects/{story.project}"
    crumbs = ((story.project, begin), (story.id, f"{begin}/stories/{story.id}"))
    return {
        **heading_parts(story.title, crumbs=crumbs, sign=picture.sign, word=picture.word),
        "standing": drawn(
            "story_head",
            phases=tuple(signs.PHASE_NAMES[phase] for phase in signs.PHASES),
            steps=picture.steps,
            at_work=picture.at_work,
            sign=picture.sign,
            why=picture.why,
            step=picture.step,
            details=picture.details,
            next=picture.next,
        ),
    }


def about_parts(picture: StoryPicture) -> Parts:
    commits = " → ".join(commit[:10] for commit in (picture.base, picture.head) if commit)
    return {
        "about": drawn(
            "story_about",
            story=picture.story,
            needs=picture.needs,
            links=picture.links,
            commits=commits,
            spec=picture.spec,
        ),
        "gates": drawn("gates", gates=picture.gates),
        "log": drawn("story_log", lines=picture.log),
    }


def transcript_parts(picture: Transcript) -> Parts:
    if not picture.entries:
        return {"none": drawn("transcript_none")}
    parts = {}
    if picture.left_out:
        parts["more"] = drawn("transcript_more", count=picture.left_out)
    for entry in picture.entries:
        kind = "agent" if entry.kind == "agent" else "quiet" if entry.kind in _QUIET else entry.kind
        parts[f"{picture.name} {entry.number}"] = drawn("entry", entry=entry, kind=kind)
    return parts


async def build(viewer: Viewer) -> None:
    runtime, project = viewer.house.runtime, viewer.parts["project"].strip().lower()
    story_id = viewer.parts["story"].strip().lower()
    if (await runtime.commands.story(story_id)).view.story.project != project:
        raise NotFound(f"{project} has no story {story_id[:60]}.", hint="Look at its board.")
    person = await person_of(viewer.house, viewer.visitor)

    latest: list[StoryPicture] = []
    turn = 0  # of what is typed: a field that was sent is made anew

    def head(picture: StoryPicture) -> Parts:
        latest[:] = [picture]
        parts = dict(head_parts(picture))
        shown = {
            one.id: drawn_question(one, viewer.visitor.standing(project, person))
            for one in picture.approvals[:10]
        }
        waiting = {one.id for one in picture.approvals if one.state is ApprovalState.PENDING}
        parts |= {name: html for name, html in shown.items() if name in waiting}
        if controls := of_story(picture.status, lambda action: viewer.may(action, project)):
            parts["controls"] = drawn("controls", controls=controls, turn=turn, about="Work on this story")
        parts |= {name: html for name, html in shown.items() if name not in waiting}
        return parts

    async def does(said: Said) -> None:
        nonlocal turn
        if said["do"] == "answer":
            await act(lambda: answer(viewer, said))
        elif await act(lambda: work_on_story(viewer, project, story_id, said)):
            turn += 1
            top.show(head(latest[0]))
            viewer.live.nudge(view.name)

    view = story_view(runtime, story_id)
    top = await show(viewer, view, head, does=does)
    with ui.element("div").classes("split"):
        with ui.element("div"):
            if viewer.may(Action.SEE_TRANSCRIPTS, project):
                ui.html('<h2 class="heading" id="said">Transcript</h2>', sanitize=False)
                said = await show(viewer, transcript_view(runtime, story_id), transcript_parts, tag="ol")
                said.classes("transcript").props('data-stick tabindex="0" role="list" aria-labelledby="said"')
            (await show(viewer, changes_view(runtime.commands, story_id), dict)).classes("after")
        await show(viewer, view, about_parts)
