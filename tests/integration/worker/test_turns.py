"""What a running turn tells, and what reaches it: epics, files touched, people's words, silence, limits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from core.domain.approval import PermissionAnswer
from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.worker import touching
from core.worker.contract import PhaseEnd, PhaseReport
from core.worker.phases import run_phase
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

EPIC = StoryBrief(
    id="shop-e1", title="A shop", body="It sells.", acceptance_criteria=("a criterion changes nothing",)
)
PROPOSALS = "## A cart\n\nAcceptance criteria:\n- it holds things\n"


async def _run(job, services) -> PhaseReport:
    return await run_phase(job, services, asyncio.Event())


# --- epics


async def test_an_epic_s_file_is_its_result(calculator, job_of, play, services, heard) -> None:
    agent = play(epic=[{"spec": PROPOSALS}, {"say": "Two stories."}])
    job = job_of(agent, Phase.DESIGN, epic=True, story=EPIC)
    report = await _run(job, services)
    assert report.end is PhaseEnd.PASSED, report
    assert report.spec == PROPOSALS
    assert report.verdict is None
    assert report.head_commit == calculator.git("rev-parse", "main")
    assert {child.kind for child in heard.started} == {"agent"}  # no gate
    assert heard.files == []


async def test_a_revised_epic_begins_with_its_proposals(calculator, job_of, play, services) -> None:
    agent = play(
        epic=[{"append": {"path": ".orch-state/stories/shop-e1.md", "text": "\n## A till\n"}}],
    )
    job = job_of(agent, Phase.DESIGN, epic=True, story=replace(EPIC, spec=PROPOSALS), feedback="a till too")
    report = await _run(job, services)
    assert (report.end, report.spec) == (PhaseEnd.PASSED, f"{PROPOSALS}\n## A till\n")


@pytest.mark.parametrize(
    "steps",
    [
        [{"run": "echo looking around"}, {"say": "I have no ideas."}],
        [{"write": {"path": ".orch-state/stories/shop-e1.md", "text": " \n"}}],
        [{"run": "ln -s /etc/hostname .orch-state/stories/shop-e1.md"}],
    ],
)
async def test_an_epic_without_a_file_is_the_agent_s_failure(
    calculator, job_of, play, services, steps
) -> None:
    report = await _run(job_of(play(epic=steps), Phase.DESIGN, epic=True, story=EPIC), services)
    assert report.end is PhaseEnd.AGENT_FAILED
    assert report.error == "replay wrote no proposals into .orch-state/stories/shop-e1.md."
    assert report.hint


async def test_an_epic_s_agent_that_commits_is_refused(calculator, job_of, play, services, setup) -> None:
    agent = play(epic=[{"spec": PROPOSALS}, {"files": {"x": "x"}}, {"commit": "mine"}])
    project = replace(setup, isolation="process")
    report = await _run(job_of(agent, Phase.DESIGN, epic=True, story=EPIC, project=project), services)
    assert report.end is PhaseEnd.REFUSED
    assert report.verdict is not None
    assert "mine" in report.verdict.explain()


# --- files touched


async def test_files_are_told_while_the_agent_works_and_only_when_they_changed(
    calculator, job_of, play, services, heard, red, monkeypatch
) -> None:
    monkeypatch.setattr(touching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(touching, "REST", 1)
    steps = [
        {"write": {"path": "tests/test_one.py", "text": "import calc\n"}},
        {"steered": {"then": [*red, {"delete": "tests/test_one.py"}], "else": []}},
    ]
    work = asyncio.create_task(_run(job_of(play(test_red=steps)), services))
    await until(lambda: any("tests/test_one.py" in said.files for said in heard.files))
    assert not work.done()
    assert await services.steering["shop-1"].say("go on")
    report = await work
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    *looks, last = [said.files for said in heard.files]
    assert last == ("tests/test_mul.py",)
    assert all(one != other for one, other in pairwise(looks)), looks
    assert all(said.story_id == "shop-1" and said.generation == 1 for said in heard.files)


async def test_the_whole_story_s_files_are_told_at_each_end(
    calculator, job_of, play, services, heard, red, green
) -> None:
    first = await _run(job_of(play(test_red=red)), services)
    assert first.verdict is not None
    facts = {
        "base_commit": first.base_commit,
        "head_commit": first.head_commit,
        "red_commit": first.head_commit,
        "red_evidence": first.verdict.evidence,
    }
    half = [{"files": {"new/half.py": "x = 1\n", ".gitignore": None}}]
    agent = play(code_green=[half, [{"append": {"path": "calc.py", "text": "\n"}}, "crash"]])
    refused = await _run(job_of(agent, Phase.CODE_GREEN, **facts), services)
    assert refused.end is PhaseEnd.REFUSED
    assert heard.files[-1].files == (".gitignore", "new/half.py", "tests/test_mul.py")
    failed = await _run(job_of(agent, Phase.CODE_GREEN, attempt=2, **facts), services)
    assert failed.end is PhaseEnd.AGENT_FAILED
    assert heard.files[-1].files == (".gitignore", "calc.py", "new/half.py", "tests/test_mul.py")
    assert calculator.git("status", "--porcelain") == ""


async def test_looking_disturbs_no_staging(
    calculator, job_of, play, services, heard, red, monkeypatch
) -> None:
    """Looks without a pause, while the turn's end and the gate stage the same files."""
    monkeypatch.setattr(touching, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(touching, "REST", 0)
    many = {f"tests/data/{number}.txt": f"{number}\n" for number in range(200)}
    report = await _run(job_of(play(test_red=[{"files": many}, *red])), services)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert len(heard.files[-1].files) == 201


def test_looks_take_at_most_a_fiftieth_of_a_core() -> None:
    assert touching.pause_after(0.001) == touching.LOOK_SECONDS
    assert touching.pause_after(2.0) == 100.0


# --- people's words


async def test_a_person_s_words_reach_the_running_turn(
    calculator, job_of, play, services, heard, red
) -> None:
    agent = play(test_red=[{"steered": {"then": red, "else": []}}])
    work = asyncio.create_task(_run(job_of(agent), services))
    await until(lambda: any(step.step == "agent" for step in heard.steps) and "shop-1" in services.steering)
    assert await services.steering["shop-1"].say("write the test of mul")
    report = await work
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert services.steering == {}


async def test_words_that_come_too_late_are_said_not_to_have_reached_it(
    calculator, job_of, play, services, heard
) -> None:
    agent = play(test_red=[{"hang": {"ignore": ["cancel"]}}])
    stop = asyncio.Event()
    work = asyncio.create_task(run_phase(job_of(agent), services, stop))
    await until(lambda: any(child.kind == "agent" for child in heard.started))
    word = asyncio.create_task(services.steering["shop-1"].say("hello?"))
    stop.set()
    assert (await work).end is PhaseEnd.CANCELLED
    assert await word is False


async def test_why_people_refused_reaches_the_turn_that_asked(
    calculator, job_of, play, services, heard, red
) -> None:
    heard.answer = PermissionAnswer(allowed=False, reason="Offline only.")
    hears = {"when": 'steering contains "Offline only."', "then": red, "else": []}
    ask = {"title": "Fetch a page", "kind": "fetch", "then": [], "else": [{"steered": {"then": [hears]}}]}
    report = await _run(job_of(play(test_red=[{"ask": ask}])), services)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert [(said.phase, dict(said.refused)) for said in heard.refused] == [(Phase.TEST_RED, {"people": 1})]


# --- silence and limits


async def test_a_silent_agent_is_told_once_and_then_ended(
    calculator, job_of, play, services, heard, setup
) -> None:
    project = replace(setup, stall_seconds=0.5, stall_cancel_seconds=1.5)
    agent = play(test_red=[{"silent": {"seconds": 600}}])
    report = await _run(job_of(agent, project=project), services)
    assert report.end is PhaseEnd.AGENT_FAILED, report
    (silence,) = heard.silences
    assert (silence.story_id, silence.phase, silence.generation) == ("shop-1", Phase.TEST_RED, 1)
    assert silence.seconds >= 0.5


async def test_a_usage_limit_is_an_end_of_its_own_and_the_files_wait(
    calculator, job_of, play, services, heard, red
) -> None:
    limit = {"limit": {"text": "Claude AI usage limit reached", "seconds": 3600, "times": 1}}
    half = {"write": {"path": "tests/test_half.py", "text": "import calc\n"}}
    agent = play(test_red=[{"when": "resumed", "then": red, "else": [half, limit]}])
    report = await _run(job_of(agent), services)
    assert report.end is PhaseEnd.LIMITED, report
    assert report.limited_until is not None
    ahead = report.limited_until - datetime.now(UTC)
    assert timedelta(minutes=50) < ahead < timedelta(minutes=70)
    assert report.error
    again = await _run(job_of(agent, attempt=2, session_id=report.session_id), services)
    assert again.end is PhaseEnd.PASSED, (again.error, again.verdict)
    assert {change.path for change in again.changes} == {"tests/test_half.py", "tests/test_mul.py"}
    assert heard.salvages == []
