"""Stories and sprints as messages that fit Discord, whatever stands in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cogs import render_sprints, render_stories
from cogs.buttons import story_buttons
from cogs.message import Message, as_text, fit
from cogs.outgoing import CUSTOM_ID, custom_id, sending
from cogs.render import STORY_SIGNS
from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import Event, EventKind
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.insights import Insights, PhaseFigures, ProjectFigures, ReasonFigures
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import (
    Cycle,
    Epic,
    EpicState,
    Priority,
    Sprint,
    Story,
    StoryState,
    StoryStatus,
)
from core.orchestrator.views import (
    Burndown,
    BurndownPoint,
    CyclesView,
    EpicView,
    GateView,
    OverlapView,
    ReviewView,
    StoryDetail,
    StoryResult,
    StoryView,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def view(text: str = "Basket", number: int = 1, status: StoryStatus = StoryStatus.RUNNING) -> StoryView:
    story = Story(
        id=f"shop-{number}",
        project="shop",
        number=number,
        title=text,
        body=text,
        acceptance_criteria=(text,),
        priority=Priority.HIGH,
        state=StoryState.ACTIVE,
        sprint_id="s",
        added_by=text,
        added_at=NOW,
        estimate=3,
        labels=(text,),
        links=(f"https://example.org/{text}",),
        epic_id="shop-e1",
    )
    cycle = Cycle(
        story_id=story.id,
        project="shop",
        state=CycleState.CODE_GREEN,
        attempt=2,
        base_commit=None,
        red_commit=None,
        head_commit=None,
        session_id=None,
        spec=text,
        feedback=text,
        blocked_reason="",
        merge_commit=None,
        generation=1,
        started_at=NOW - timedelta(minutes=42),
        updated_at=NOW,
    )
    return StoryView(story=story, status=status, cycle=cycle, why=text, needs=("till-4",))


def detail(text: str) -> StoryDetail:
    refused = Verdict(phase=Phase.TEST_RED, refusals=(Refusal(code=RefusalCode.BROKEN_TEST, sentence=text),))
    passed = Verdict(
        phase=Phase.TEST_RED, evidence=Evidence(red=(text, "b"), passed_count=4, changed_files=(text,))
    )
    gates = tuple(
        GateView(phase=Phase.TEST_RED, attempt=n, at=NOW, verdict=verdict, commit="abc" * 14)
        for n, verdict in enumerate((refused, passed), 1)
    )
    return StoryDetail(view=view(text), gates=gates, approvals=())


def test_a_question_can_be_read_and_answered_where_its_story_is_shown() -> None:
    asked = Approval(
        id="approval_1",
        project="shop",
        story_id="shop-1",
        kind=ApprovalKind.MERGE,
        question="Merge it?",
        detail="+all of it",
        reasons=(),
        subject="",
        state=ApprovalState.PENDING,
        asked_at=NOW,
    )
    made = render_stories.story(replace(detail("x"), approvals=(asked,)))
    assert [button.verb for button in made.buttons[:2]] == ["approve", "reject"]
    assert [file.text for file in made.attachments if file.name.endswith(".diff")] == ["+all of it"]
    over = render_stories.story(
        replace(detail("x"), approvals=(replace(asked, state=ApprovalState.APPROVED),))
    )
    assert "approve" not in [button.verb for button in over.buttons]


SPRINT = Sprint(id="s", project="shop", number=2, goal="sell", planned_at=NOW, started_at=NOW, ended_at=None)
BURNDOWN = Burndown(sprint=SPRINT, total=8, actual=(BurndownPoint(at=NOW, remaining=8),), ideal=None)


def messages(text: str) -> list[Message]:
    epic = Epic(
        id="shop-e1",
        project="shop",
        number=1,
        text=text,
        state=EpicState.PROPOSED,
        asked_by="cli",
        asked_at=NOW,
        attempt=1,
        generation=1,
        feedback="",
        session_id=None,
        error=text,
    )
    many = tuple(view(text, n, StoryStatus.PROPOSED) for n in range(1, 28))
    result = StoryResult(view=view(text), seconds=90.0, refusals=2, tests=3, commit="f" * 40, evidence=text)
    cycles = CyclesView(
        project="shop",
        stories=many,
        overlaps=(OverlapView(first="shop-1", later="shop-2", files=(text,)),),
        merging=("shop-3",),
    )
    events = [
        Event(kind=EventKind.AGENT_SAID, at=NOW, data={"phase": "design", "text": text}) for _ in range(30)
    ]
    return [
        render_stories.story(detail(text)),
        *(render_stories.epic(EpicView(epic=epic, stories=many), page) for page in (0, 1, 99)),
        render_stories.cycles(cycles, NOW.timestamp()),
        render_stories.log("shop-1", events, text),
        render_sprints.review(
            ReviewView(
                sprint=SPRINT,
                results=(result,) * 14,
                burndown=BURNDOWN,
                points_done=3,
                points_planned=8,
                seconds=4000.0,
            )
        ),
        render_sprints.history([SPRINT], text, "shop"),
        render_sprints.burndown(BURNDOWN, None),
    ]


@settings(max_examples=60)
@given(st.text(max_size=300).map(lambda text: text * 9))
async def test_every_message_can_be_sent(text: str) -> None:
    for message in messages(text):
        made = sending(message)
        total = sum(len(embed) for embed in made["embeds"])
        assert total <= 6000
        assert all(len(field.value) <= 1024 for embed in made["embeds"] for field in embed.fields)
        for button in fit(message).buttons:
            assert CUSTOM_ID.fullmatch(custom_id(button.verb, button.target))
        select = fit(message).select
        if select is not None:
            assert 1 <= len(select.choices) <= 25


def test_a_story_tells_its_evidence_and_what_it_needs() -> None:
    text = as_text(render_stories.story(detail("tests/a.py::b")))
    assert "❌ `test_red` a test is broken, not red" in text
    assert "✅ `test_red` (try 2) `abcabcabca`" in text
    assert "2 honest red tests" in text
    assert "needs `till-4`" in text
    assert "3 points" in text


def test_an_overview_tells_phase_try_and_time() -> None:
    text = as_text(messages("Basket")[4])
    assert "code_green, try 2" in text
    assert "42 min" in text
    assert "Merge queue: `shop-3`" in as_text(
        render_stories.cycles(
            CyclesView(project="shop", stories=(), overlaps=(), merging=("shop-3",)), NOW.timestamp()
        )
    )


def test_a_link_cannot_leave_its_brackets() -> None:
    shown = as_text(render_stories.story(detail("> @everyone <b")))
    [line] = [line for line in shown.splitlines() if line.startswith("<https")]
    assert line.count(">") == 1
    assert " " not in line


def test_buttons_fit_each_state() -> None:
    verbs = {status: [b.verb for b in story_buttons("shop-1", status)] for status in StoryStatus}
    assert verbs[StoryStatus.STOPPED][0] == "go_on"
    assert "hand_back" in verbs[StoryStatus.TAKEN]
    assert verbs[StoryStatus.DONE] == []
    assert set(STORY_SIGNS) == set(StoryStatus)


def test_figures_across_projects() -> None:
    view = Insights(
        judged=4,
        phases=(PhaseFigures(phase=Phase.TEST_RED, judged=4, refused=1, median_seconds=75.0),),
        reasons=(ReasonFigures(phase=Phase.TEST_RED, reason="a test is broken", times=1, projects=1),),
        projects=(ProjectFigures(project="shop", stories=2, judged=4, refused=1, blocked=1),),
    )
    text = as_text(render_sprints.insights(view))
    assert "`test_red` 4 judged, 25 % refused, median 75 s" in text
    assert "**1×** a test is broken" in text
    assert "**shop** 25 % refused of 4 in 2 stories, blocked 1×" in text
