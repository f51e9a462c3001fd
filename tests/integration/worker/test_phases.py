from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.domain.evidence import RefusalCode
from core.domain.lifecycles import Phase
from core.worker.contract import PhaseEnd, PhaseReport
from core.worker.git import Repository
from core.worker.phases import run_phase
from core.worker.worktree import Worktrees
from tests.waiting import SECONDS, until

pytestmark = pytest.mark.timeout(120)


async def _run(job, services) -> PhaseReport:
    return await run_phase(job, services, asyncio.Event())


def _codes(report: PhaseReport) -> set[RefusalCode]:
    assert report.verdict is not None, report.error
    return {refusal.code for refusal in report.verdict.refusals}


async def test_a_story_goes_from_its_criteria_to_code_that_a_person_may_merge(
    calculator, job_of, play, services, heard, setup, level, red, green
) -> None:
    real = None if level == "process" else setup.test_command  # a whole Orchard's story has it at the other
    project = replace(setup, isolation=level, test_command=real)
    base = calculator.git("rev-parse", "HEAD")
    agent = play(test_red=red, code_green=green, refactor=[{"say": "Nothing to do."}])

    design = await _run(job_of(agent, Phase.DESIGN, project=project), services)
    assert design.end is PhaseEnd.PASSED, (design.error, design.verdict)
    assert design.head_commit == design.base_commit == base
    assert design.spec is not None
    assert "mul(2, 3) is 6" in design.spec
    assert heard.started == []  # no agent was needed

    story = replace(job_of(agent).story, spec=design.spec)
    done = {"project": project, "story": story, "base_commit": base}
    first = await _run(job_of(agent, Phase.TEST_RED, head_commit=base, **done), services)
    assert first.end is PhaseEnd.PASSED, (first.error, first.verdict)
    assert first.verdict is not None
    assert first.verdict.evidence.red or first.verdict.evidence.red_files
    assert [change.path for change in first.changes] == ["tests/test_mul.py"]
    assert first.changes[0].is_test
    assert first.agent_text.endswith("A failing test.")

    done |= {"red_commit": first.head_commit, "red_evidence": first.verdict.evidence}
    second = await _run(job_of(agent, Phase.CODE_GREEN, head_commit=first.head_commit, **done), services)
    assert second.end is PhaseEnd.PASSED, (second.error, second.verdict)
    assert {change.path for change in second.changes} == {"calc.py", "tests/test_mul.py"}

    third = await _run(job_of(agent, Phase.REFACTOR, head_commit=second.head_commit, **done), services)
    assert third.end is PhaseEnd.PASSED, (third.error, third.verdict)
    assert third.head_commit == second.head_commit  # nothing to do is fine, and makes no commit
    assert "+def mul(a, b):" in third.diff

    log = calculator.git(
        "log", "--format=%s|%(trailers:key=Orchard-Phase,valueonly,separator=)", f"{base}..orchard/shop-1"
    )
    assert log.splitlines() == [
        "code_green: Multiply numbers|code_green",
        "test_red: Multiply numbers|test_red",
    ]
    assert calculator.git("status", "--porcelain") == ""
    assert calculator.git("rev-parse", "main") == base
    assert {step.step for step in heard.steps} >= {"worktree", "environment", "agent", "gate", "commit"}
    assert sorted(heard.ended) == sorted(child.pid for child in heard.started)
    assert {child.kind for child in heard.started} == {"agent", "test"}
    assert (setup.state_path / "transcripts" / "shop" / "shop-1" / "code_green-1.1.jsonl").stat().st_size > 0


@pytest.mark.bwrap  # at level `process` nothing keeps it from writing outside
async def test_a_design_agent_writes_the_spec_and_nothing_else(
    calculator, job_of, play, services, story
) -> None:
    bare = replace(story, acceptance_criteria=())
    spec = "# Multiply\n\n## Acceptance criteria\n\n- mul(2, 3) is 6\n"
    agent = play(
        design=[
            {"write_outside": {"path": "calc.py", "text": "broken"}},
            {"write": {"path": ".orch-state/stories/shop-1.md", "text": spec}},
        ]
    )
    report = await _run(job_of(agent, Phase.DESIGN, story=bare), services)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert report.spec == spec
    assert calculator.git("status", "--porcelain") == ""


async def test_a_design_without_criteria_is_refused_and_its_draft_stays_for_the_next_attempt(
    calculator, job_of, play, services, story
) -> None:
    bare = replace(story, acceptance_criteria=())
    path = ".orch-state/stories/shop-1.md"
    agent = play(
        design=[
            [{"write": {"path": path, "text": "# Multiply\n"}}],
            [{"append": {"path": path, "text": "\n## Acceptance criteria\n\n- mul(2, 3) is 6\n"}}],
        ]
    )
    report = await _run(job_of(agent, Phase.DESIGN, story=bare), services)
    assert (report.end, _codes(report)) == (PhaseEnd.REFUSED, {RefusalCode.NO_ACCEPTANCE_CRITERIA})
    assert report.spec is None
    again = await _run(job_of(agent, Phase.DESIGN, story=bare, attempt=2, feedback="criteria"), services)
    assert again.end is PhaseEnd.PASSED, (again.error, again.verdict)
    assert again.spec is not None
    assert again.spec.startswith("# Multiply\n\n## Acceptance")


async def test_a_refused_attempt_is_amended_and_an_agent_s_failure_starts_over(
    calculator, job_of, play, services, heard, red
) -> None:
    passing = {"write": {"path": "tests/test_more.py", "text": "assert True\n"}}
    agent = play(test_red=[[passing], ["crash"], red])
    refused = await _run(job_of(agent), services)
    assert (refused.end, _codes(refused)) == (PhaseEnd.REFUSED, {RefusalCode.NO_RED_TEST})
    crashed = await _run(job_of(agent, attempt=2), services)
    assert crashed.end is PhaseEnd.AGENT_FAILED
    assert crashed.error
    assert heard.salvages == []  # it went on in the same files
    passed = await _run(job_of(agent, attempt=3), services)
    assert passed.end is PhaseEnd.PASSED, (passed.error, passed.verdict)
    assert [salvage.files for salvage in heard.salvages] == [("tests/test_more.py",)]
    assert [change.path for change in passed.changes] == ["tests/test_mul.py"]


async def test_tests_cannot_be_touched_while_code_is_written(
    calculator, job_of, play, services, red, green, machine
) -> None:
    if "filesystem" not in machine.levels:
        pytest.skip(machine.reasons["filesystem"])
    vandal = [
        {"run": "echo 'def test_mul(): 1' > tests/test_mul.py; rm -rf tests; touch tests/conftest.py; true"},
        {"run": "mkdir -p .github; echo evil > .git; git commit -qam mine; git checkout -qb other; true"},
        {"run": "echo x > .orch-state/stories/shop-1.md; true"},
        *green,
    ]
    agent = play(test_red=red, code_green=vandal)
    first = await _run(job_of(agent), services)
    assert first.verdict is not None
    report = await _run(
        job_of(
            agent,
            Phase.CODE_GREEN,
            base_commit=first.base_commit,
            head_commit=first.head_commit,
            red_commit=first.head_commit,
            red_evidence=first.verdict.evidence,
        ),
        services,
    )
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert {change.path for change in report.changes} == {"calc.py", "tests/test_mul.py"}
    assert calculator.git("log", "--format=%s", "orchard/shop-1", "-1") == "code_green: Multiply numbers"


@pytest.mark.parametrize("branch", [None, "evil"])
async def test_an_agent_that_commits_is_refused_at_level_process(
    calculator, job_of, play, services, setup, heard, red, branch
) -> None:
    commit = {"commit": {"message": "mine", **({"branch": branch} if branch else {})}}
    agent = play(test_red=[[*red, commit], [{"say": "Sorry."}]])
    project = replace(setup, isolation="process")
    report = await _run(job_of(agent, project=project), services)
    assert (report.end, _codes(report)) == (PhaseEnd.REFUSED, {RefusalCode.FOREIGN_COMMIT})
    assert report.verdict is not None
    assert "mine" in report.verdict.explain()
    again = await _run(job_of(agent, project=project, attempt=2), services)
    assert (again.end, _codes(again)) == (PhaseEnd.REFUSED, {RefusalCode.NO_TEST_ADDED})
    assert len(heard.salvages) == 1
    assert calculator.git("log", "-1", "--format=%s", f"{heard.salvages[0].ref}^") == "mine"


async def test_an_agent_that_makes_a_repository_of_its_own_is_refused(
    calculator, job_of, play, services, red
) -> None:
    agent = play(test_red=[*red, {"run": "mkdir sub && cd sub && git init -q && echo x > x"}])
    report = await _run(job_of(agent), services)
    assert (report.end, _codes(report)) == (PhaseEnd.REFUSED, {RefusalCode.FOREIGN_COMMIT})
    assert report.verdict is not None
    assert "sub" in report.verdict.explain()


@pytest.mark.parametrize("place", ["checkout", "sibling", "state", "next to it"])
async def test_writing_outside_is_refused_with_the_file_s_name_at_level_process(
    calculator, job_of, play, services, setup, red, place
) -> None:
    project = replace(setup, isolation="process")
    outside = {
        "checkout": calculator.path / "calc.py",
        "sibling": setup.state_path / "worktrees" / "shop" / "shop-2" / "calc.py",
        "state": setup.state_path / "evil.txt",
        "next to it": setup.state_path / "worktrees" / "shop" / "evil.txt",
    }[place]
    worktrees = Worktrees(await Repository.open(calculator.path), project="shop", state_path=setup.state_path)
    await worktrees.ensure("shop-2", calculator.git("rev-parse", "HEAD"), spec="", phase=Phase.TEST_RED)
    liar = play(test_red=[*red, {"write_outside": {"path": str(outside), "text": "evil"}}])
    report = await _run(job_of(liar, project=project), services)
    assert (report.end, _codes(report)) == (PhaseEnd.REFUSED, {RefusalCode.WROTE_OUTSIDE})
    assert report.verdict is not None
    assert str(outside) in report.verdict.explain()


async def test_what_a_sibling_s_own_turn_changed_meanwhile_is_nobody_else_s_fault(
    calculator, job_of, play, services, setup, red, story
) -> None:
    """Also where that began and ended while this one ran."""
    project, other = replace(setup, isolation="process"), replace(story, id="shop-2")
    leaves = [[{"write": {"path": f"left-{number}.txt", "text": "x"}}, "crash"] for number in (1, 2)]
    sibling = job_of(play(test_red=leaves), project=project, story=other)
    assert (await _run(sibling, services)).end is PhaseEnd.AGENT_FAILED
    agent = play(
        test_red=[
            {"write": {"path": "begun", "text": ""}},
            {"steered": {"then": [{"delete": "begun"}, *red]}},
        ]
    )
    work = asyncio.create_task(_run(job_of(agent, project=project), services))
    await until((setup.state_path / "worktrees" / "shop" / "shop-1" / "begun").exists)
    assert (await _run(replace(sibling, attempt=2), services)).end is PhaseEnd.AGENT_FAILED
    assert await services.steering["shop-1"].say("go on")
    report = await work
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)


async def test_nothing_outside_can_be_written_at_level_filesystem(
    calculator, job_of, play, services, setup, red, machine
) -> None:
    if "filesystem" not in machine.levels:
        pytest.skip(machine.reasons["filesystem"])
    places = [
        calculator.path / "calc.py",
        calculator.path / ".git" / "hooks" / "pre-commit",
        setup.state_path / "x",
    ]
    agent = play(
        test_red=[*({"write_outside": {"path": str(path), "text": "evil"}} for path in places), *red]
    )
    report = await _run(job_of(agent), services)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert calculator.git("status", "--porcelain") == ""
    assert not places[1].exists()
    assert not places[2].exists()


async def test_a_person_s_own_commits_meanwhile_are_not_blamed_on_the_agent(
    calculator, job_of, play, services, setup, heard, red
) -> None:
    agent = play(test_red=[{"steered": {"then": red, "else": []}}])
    work = asyncio.create_task(_run(job_of(agent, project=replace(setup, isolation="process")), services))
    await until(lambda: any(child.kind == "agent" for child in heard.started))
    calculator.commit({"README": "by a person\n"}, "by a person")
    calculator.git("branch", "idea")
    assert await services.steering["shop-1"].say("go on")
    report = await work
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)


@pytest.mark.parametrize("where", ["agent", "gate"])
async def test_a_cancelled_phase_answers_and_leaves_no_process(
    calculator, job_of, play, services, heard, setup, where, lives
) -> None:
    slow = {
        "write": {
            "path": "tests/test_slow.py",
            "text": "import time\n\ntime.sleep(60)\n",
        }
    }
    rude = [{"write": {"path": "begun.txt", "text": ""}}, {"hang": {"ignore": ["cancel", "eof", "term"]}}]
    agent = play(test_red=rude if where == "agent" else [slow])
    begun = setup.state_path / "worktrees" / "shop" / "shop-1" / "begun.txt"
    cancel = asyncio.Event()
    work = asyncio.create_task(run_phase(job_of(agent), services, cancel))
    if where == "agent":
        await until(begun.exists)
    else:
        await until(lambda: any(child.kind == "test" for child in heard.started))
    cancel.set()
    async with asyncio.timeout(SECONDS):
        report = await work
    assert report.end is PhaseEnd.CANCELLED
    assert sorted(heard.ended) == sorted(child.pid for child in heard.started)
    assert not any(lives(child.pid) for child in heard.started)


async def test_what_people_must_mend_blocks_with_a_next_step(
    calculator, job_of, play, services, setup
) -> None:
    agent = play(test_red=[{"say": "hello"}])
    for broken in (
        replace(setup, main_branch="trunk"),
        replace(setup, path=setup.state_path),
        replace(setup, folder="nowhere"),
        replace(setup, environment="inherit"),
        replace(setup, isolation="container"),
    ):
        report = await _run(job_of(agent, project=broken), services)
        assert report.end is PhaseEnd.BLOCKED, broken
        assert report.error
        assert report.hint, report.error


async def test_an_empty_repository_blocks(checkout, job_of, play, services) -> None:
    report = await _run(job_of(play(test_red=[{"say": "x"}])), services)
    assert report.end is PhaseEnd.BLOCKED
    assert "no commits" in report.error


async def test_an_agent_that_does_nothing_gives_the_gate_nothing(calculator, job_of, play, services) -> None:
    report = await _run(job_of(play(test_red=[{"say": "I wrote a test."}])), services)
    assert report.end is PhaseEnd.REFUSED
    assert report.agent_text.endswith("I wrote a test.")


async def test_a_spec_that_is_a_link_to_a_secret_is_no_spec(
    calculator, job_of, play, services, story, setup, tmp_path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("## Acceptance criteria\n\n- the secret\n")
    path = ".orch-state/stories/shop-1.md"
    agent = play(design=[{"run": f"ln -sf {secret} {path}"}])
    bare = replace(story, acceptance_criteria=())
    report = await _run(
        job_of(agent, Phase.DESIGN, story=bare, project=replace(setup, isolation="process")), services
    )
    assert report.end is PhaseEnd.REFUSED
    assert (setup.state_path / "worktrees" / "shop" / "shop-1" / path).readlink() == secret
