"""A phase that makes place: what of it ends by itself, what is interrupted, and how it goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain.approval import PermissionAnswer
from core.domain.evidence import RefusalCode
from core.domain.lifecycles import Phase
from core.isolation.plan import Level
from core.worker.contract import Park, PhaseEnd, PhaseReport, RemoveWorktree
from core.worker.parking import ParkWish
from core.worker.phases import run_phase
from core.worker.workshop import remove_story
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

HALF = "tests/test_half.py"
HALF_WRITTEN = {"write": {"path": HALF, "text": "x = 1\n"}}
RESUMED = 'prompt contains "interrupted to make place"'
UNTIL_GO = {"run": "while [ ! -e go ]; do sleep 0.01; done; rm go"}
RUDE = {"hang": {"ignore": ["cancel", "eof", "term"]}}


class Phases:
    """Phases of the story `shop-1`, run in this process and asked to make place."""

    def __init__(self, services, heard, setup) -> None:
        self.services, self.heard = services, heard
        self.place: Path = setup.state_path / "worktrees" / setup.name / "shop-1"
        self.park = ParkWish()
        self.stop = asyncio.Event()

    def begin(self, job) -> asyncio.Task[PhaseReport]:
        self.park, self.stop = ParkWish(), asyncio.Event()
        return asyncio.create_task(run_phase(job, self.services, self.stop, self.park))

    async def run(self, job) -> PhaseReport:
        return await self.begin(job)

    def ask(self, seconds: float = 0.0) -> None:
        self.park.ask(
            Park(story_id="shop-1", within_seconds=seconds, taker="bank", reason="bank is below its share")
        )

    async def reached(self, step: str) -> None:
        await until(lambda: any(said.step == step for said in self.heard.steps))

    async def parked(self, job, *, there: str = HALF) -> PhaseReport:
        """Parked in the middle of the turn, once this file is in the worktree."""
        work = self.begin(job)
        await until(lambda: work.done() or (self.place / there).exists())
        self.ask()
        report = await work
        assert report.end is PhaseEnd.PARKED, (report.error, report.verdict)
        return report


@pytest.fixture
def phases(services, heard, setup) -> Phases:
    return Phases(services, heard, setup)


@pytest.fixture
def half(red) -> list[object]:
    """Writes one file and hangs; told that it was interrupted, it does the rest."""
    return [
        {"when": RESUMED, "then": [{"delete": HALF}, *red], "else": [HALF_WRITTEN, "hang"]},
    ]


async def test_a_turn_that_ends_in_its_time_is_judged_as_always(
    calculator, job_of, play, phases, red
) -> None:
    work = phases.begin(job_of(play(test_red=[*red, UNTIL_GO])))
    await until(lambda: (phases.place / "tests/test_mul.py").exists())
    phases.ask(3600.0)
    (phases.place / "go").touch()
    report = await work
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert report.parked_for == ""


async def test_a_long_turn_is_interrupted_and_goes_on_in_its_files_and_its_session(
    calculator, job_of, play, phases, half, setup, level, lives
) -> None:
    job = job_of(play(test_red=half), project=replace(setup, isolation=level))
    parked = await phases.parked(job)
    assert (parked.parked_for, parked.parked_reason) == ("bank", "bank is below its share")
    assert parked.session_id
    assert parked.error == ""
    assert parked.verdict is None
    assert not any(lives(child.pid) for child in phases.heard.started)
    assert (phases.place / HALF).read_text() == "x = 1\n"
    assert phases.heard.files[-1].files == (HALF,)

    report = await phases.run(replace(job, session_id=parked.session_id, base_commit=parked.base_commit))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert report.session_id == parked.session_id
    assert [change.path for change in report.changes] == ["tests/test_mul.py"]
    assert phases.heard.salvages == []


async def test_an_agent_that_hears_nothing_is_gone_when_its_phase_is_parked(
    calculator, job_of, play, phases, lives
) -> None:
    await phases.parked(job_of(play(test_red=[HALF_WRITTEN, RUDE])))
    assert phases.heard.started
    assert not any(lives(child.pid) for child in phases.heard.started)
    assert (phases.place / HALF).read_text() == "x = 1\n"


async def test_parked_twice_it_goes_on_twice(calculator, job_of, play, phases, red) -> None:
    again = {"write": {"path": "tests/test_more.py", "text": "y = 2\n"}}
    first = play(test_red=[HALF_WRITTEN, "hang"])
    second = play(test_red=[{"when": RESUMED, "then": [again, "hang"], "else": []}])
    third = play(test_red=[{"delete": HALF}, {"delete": "tests/test_more.py"}, *red])
    parked = await phases.parked(job_of(first))
    job = job_of(second, base_commit=parked.base_commit)
    await phases.parked(job, there="tests/test_more.py")
    report = await phases.run(replace(job, agent=third))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert phases.heard.salvages == []


# --- the moments


async def test_an_agent_that_has_not_begun_does_not_begin(calculator, job_of, play, phases, red) -> None:
    job = job_of(play(test_red=[{"when": RESUMED, "then": [], "else": red}]), session_id="old")
    work = phases.begin(job)
    phases.ask(3600.0)
    report = await work
    assert report.end is PhaseEnd.PARKED
    assert report.session_id == "old"
    assert report.base_commit is None  # nothing stands on it yet: it may begin on a newer one
    assert phases.heard.started == []
    again = await phases.run(job)
    assert again.end is PhaseEnd.PASSED, (again.error, again.verdict)


async def test_what_a_refused_attempt_left_is_still_there_after_a_park_before_the_next(
    calculator, job_of, play, phases, green, red
) -> None:
    wrong = [{"write": {"path": "calc.py", "text": "broken(\n"}}]
    refused = await phases.run(job_of(play(test_red=[HALF_WRITTEN, *wrong])))
    assert refused.end is PhaseEnd.REFUSED
    amend = [
        {"delete": HALF},
        {"write": {"path": "calc.py", "text": calculator.git("show", "HEAD:calc.py") + "\n"}},
    ]
    job = job_of(play(test_red=[*amend, *red]), attempt=2, base_commit=refused.base_commit)
    work = phases.begin(job)
    phases.ask()
    assert (await work).end is PhaseEnd.PARKED
    report = await phases.run(job)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert phases.heard.salvages == []


async def test_making_an_environment_is_not_waited_for_longer(
    calculator, job_of, play, phases, setup, red, lives
) -> None:
    project = replace(setup, environment="make", setup_command="sleep 600")
    work = phases.begin(job_of(play(test_red=red), project=project))
    await until(lambda: any(child.kind == "setup" for child in phases.heard.started))
    phases.ask(0.01)
    report = await work
    assert report.end is PhaseEnd.PARKED, (report.error, report.verdict)
    assert not any(lives(child.pid) for child in phases.heard.started)


async def test_a_gate_that_has_begun_is_not_interrupted(calculator, job_of, play, phases, red) -> None:
    work = phases.begin(job_of(play(test_red=red)))
    await phases.reached("gate")
    phases.ask()
    report = await work
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)


async def test_people_are_not_asked_what_would_be_withdrawn_at_once(
    calculator, job_of, play, phases, heard
) -> None:
    asks = {"ask": {"title": "Look at the network", "kind": "fetch"}}
    work = phases.begin(job_of(play(test_red=[HALF_WRITTEN, UNTIL_GO, asks, "hang"])))
    await until(lambda: (phases.place / HALF).exists())
    phases.ask(3600.0)
    (phases.place / "go").touch()
    assert (await work).end is PhaseEnd.PARKED
    assert heard.questions == []


async def test_an_open_question_is_withdrawn_and_asked_anew(
    calculator, job_of, play, phases, heard, red, monkeypatch
) -> None:
    answer: asyncio.Future[PermissionAnswer] = asyncio.get_running_loop().create_future()

    async def ask(question):
        heard.questions.append(question)
        return await asyncio.shield(answer)

    monkeypatch.setattr(heard, "ask", ask)
    asks = {"ask": {"title": "Look at the network", "kind": "fetch", "then": red, "else": []}}
    job = job_of(play(test_red=[asks]))
    work = phases.begin(job)
    await until(lambda: bool(heard.questions))
    phases.ask()
    assert (await work).end is PhaseEnd.PARKED
    answer.set_result(PermissionAnswer(allowed=True))
    report = await phases.run(replace(job, generation=2))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert [question.generation for question in heard.questions] == [1, 2]


async def test_a_person_s_stop_goes_before_a_park(calculator, job_of, play, phases) -> None:
    work = phases.begin(job_of(play(test_red=[HALF_WRITTEN, RUDE])))
    await until(lambda: (phases.place / HALF).exists())
    phases.ask()
    phases.stop.set()
    assert (await work).end is PhaseEnd.CANCELLED


async def test_words_that_a_parked_turn_did_not_hear_are_said_not_to_have_reached_it(
    calculator, job_of, play, phases, services
) -> None:
    work = phases.begin(job_of(play(test_red=[HALF_WRITTEN, RUDE])))
    await until(lambda: (phases.place / HALF).exists())
    word = asyncio.create_task(services.steering["shop-1"].say("hello?"))
    phases.ask()
    assert (await work).end in (PhaseEnd.PARKED, PhaseEnd.AGENT_FAILED)  # deaf to the word, or to the park
    assert await word is False


async def test_an_agent_that_had_committed_is_refused_as_always(
    calculator, job_of, play, phases, setup
) -> None:
    agent = play(test_red=[{"files": {"tests/x.py": "x"}}, {"commit": "mine"}, HALF_WRITTEN, "hang"])
    work = phases.begin(job_of(agent, project=replace(setup, isolation=Level.PROCESS.value)))
    await until(lambda: work.done() or (phases.place / HALF).exists())
    phases.ask()
    report = await work
    assert report.end is PhaseEnd.REFUSED
    assert report.verdict is not None
    assert {refusal.code for refusal in report.verdict.refusals} == {RefusalCode.FOREIGN_COMMIT}


# --- what changed meanwhile


async def test_a_draft_of_the_design_stands_where_the_main_branch_moved_on(
    calculator, job_of, play, phases, heard, story
) -> None:
    """Also where the report was lost, and the job knows no base."""
    spec = "# Multiply\n\n## Acceptance criteria\n\n- mul(2, 3) is 6\n"
    goes_on = [{"read": ".orch-state/stories/shop-1.md"}, {"say": "It stands."}]
    agent = play(design=[{"when": RESUMED, "then": goes_on, "else": [{"spec": spec}, "hang"]}])
    job = job_of(agent, Phase.DESIGN, feedback="say more")
    old = calculator.git("rev-parse", "HEAD")
    await phases.parked(job, there=".orch-state/stories/shop-1.md")
    calculator.commit({"other.txt": "newer\n"})
    report = await phases.run(job)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert report.spec == spec
    assert report.base_commit == old
    assert heard.salvages == []


@pytest.mark.parametrize("what", ["changed", "removed", "sent back"])
async def test_what_is_no_longer_as_it_was_left_is_saved(
    calculator, job_of, play, phases, heard, half, red, what
) -> None:
    job = job_of(play(test_red=[{"when": RESUMED, "then": ["crash"], "else": red}]))
    parked = await phases.parked(job_of(play(test_red=half)))
    base = parked.base_commit
    if what == "changed":
        (phases.place / HALF).write_text("x = 2\n")
    elif what == "removed":
        calculator.git("worktree", "remove", "--force", str(phases.place))
    else:
        base = calculator.commit({"other.txt": "newer\n"})
    report = await phases.run(replace(job, base_commit=base))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    if what == "removed":  # by a person, who wanted it so
        assert heard.salvages == []
    else:
        (salvage,) = heard.salvages
        assert HALF in salvage.files
        kept = "x = 2" if what == "changed" else "x = 1"
        assert calculator.git("show", f"{salvage.ref}:{HALF}") == kept


async def test_the_newer_main_branch_waits_until_the_parked_turn_has_ended(
    calculator, job_of, play, phases, heard, half
) -> None:
    parked = await phases.parked(job_of(play(test_red=half)))
    newer = calculator.commit({"other.txt": "newer\n"})
    job = job_of(play(test_red=half), base_commit=parked.base_commit, rebase_onto=newer)
    report = await phases.run(job)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert report.rebase_put_off
    assert report.rebased_base is None
    assert report.base_commit == parked.base_commit
    assert heard.salvages == []


async def test_a_changed_worktree_takes_the_newer_main_branch_in_and_loses_nothing(
    calculator, job_of, play, phases, heard, half, red
) -> None:
    parked = await phases.parked(job_of(play(test_red=half)))
    (phases.place / HALF).write_text("x = 2\n")
    newer = calculator.commit({"other.txt": "newer\n"})
    report = await phases.run(job_of(play(test_red=red), base_commit=parked.base_commit, rebase_onto=newer))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert not report.rebase_put_off
    assert report.base_commit == newer
    assert calculator.git("show", f"{heard.salvages[0].ref}:{HALF}") == "x = 2"


async def test_a_turn_that_is_killed_after_it_went_on_is_saved(
    calculator, job_of, play, phases, heard, half, red
) -> None:
    parked = await phases.parked(job_of(play(test_red=half)))
    job = job_of(play(test_red=["crash"]), base_commit=parked.base_commit)
    assert (await phases.run(job)).end is PhaseEnd.AGENT_FAILED
    report = await phases.run(replace(job, agent=play(test_red=red), attempt=2))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert [salvage.files for salvage in heard.salvages] == [(HALF,)]


async def test_the_draft_of_a_design_whose_agent_crashed_is_saved(
    calculator, job_of, play, phases, heard
) -> None:
    agent = play(design=[[{"spec": "half a design\n"}, "crash"], [{"spec": "# a\n"}, "crash"]])
    job = job_of(agent, Phase.DESIGN, feedback="say more")
    assert (await phases.run(job)).end is PhaseEnd.AGENT_FAILED
    await phases.run(replace(job, attempt=2))
    (salvage,) = heard.salvages
    assert salvage.files == (".orch-state/stories/shop-1.md",)
    assert calculator.git("show", f"{salvage.ref}:{salvage.files[0]}") == "half a design"


async def test_the_draft_of_a_parked_design_is_saved_when_its_story_is_over(
    calculator, job_of, play, phases, heard, setup, services
) -> None:
    job = job_of(play(design=[{"spec": "half a design\n"}, "hang"]), Phase.DESIGN, feedback="say more")
    await phases.parked(job, there=".orch-state/stories/shop-1.md")
    await remove_story(RemoveWorktree(project=setup, story_id="shop-1"), services)
    (salvage,) = heard.salvages
    assert calculator.git("show", f"{salvage.ref}:{salvage.files[0]}") == "half a design"
