"""Honest work in projects of many shapes, and what happens to it on its way, through the whole of Orchard.

Each case is a project of its own; all are at work at the same time in one Orchard, and each test tells how
its case went. Where the case is not about what pytest finds, a script runs the tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.domain.approval import ApprovalState
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, WorkflowState
from core.domain.story import StoryState
from core.errors import NotAllowed
from tests.integration.quick import QUICK_COMMAND, QUICK_FILES

pytestmark = pytest.mark.timeout(600)

SECONDS = 540.0  # for all of them together, on two cores that others use too
BASE = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n",
}
TEST = "from double import double\n\n\ndef test_double():\n    assert double(4) == 8\n"
CODE = "def double(number):\n    return number * 2\n"
NOTHING = [{"say": "Nothing to say better."}]


def write(path: str, text: str) -> dict[str, Any]:
    return {"write": {"path": path, "text": text}}


RED, GREEN = write("tests/test_double.py", TEST), write("double.py", CODE)


def plays(red: list[Any] | None = None, green: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"test_red": red or [RED], "code_green": green or [GREEN], "refactor": NOTHING, **more}


@dataclass(kw_only=True)
class Case:
    """`stories`: title to what its agents play."""

    name: str
    run: Callable[[Any], Awaitable[None]]
    stories: dict[str, Any]
    files: dict[str, str]
    settings: dict[str, Any]


CASES: dict[str, Case] = {}


def case(
    *,
    files: dict[str, str] = BASE,
    stories: dict[str, Any] | None = None,
    by_pytest: bool = False,
    **settings: Any,
) -> Callable[[Callable[[Any], Awaitable[None]]], None]:
    """Registers what follows under its name; without `stories` it has one, of the same name. Its tests are
    run `by_pytest`, or by a script."""

    def register(run: Callable[[Any], Awaitable[None]]) -> None:
        name = run.__name__.replace("_", "-")
        CASES[name] = Case(
            name=name,
            run=run,
            stories=stories or {name: plays()},
            files=files if by_pytest else {**files, **QUICK_FILES},
            settings=settings if by_pytest else {"test_command": QUICK_COMMAND, **settings},
        )

    return register


@dataclass
class Life:
    """One case in the running Orchard."""

    case: Case
    orchard: Any
    checkout: Any
    git_in: Callable[..., str]
    farm: Any
    ids: list[str] = field(default_factory=list)

    @property
    def commands(self) -> Any:
        return self.orchard.runtime.commands

    def git(self, *arguments: str) -> str:
        return self.git_in(self.checkout, *arguments)

    async def begin(self, criteria: tuple[str, ...] = ("it works",)) -> str:
        self.ids = await self.orchard.sprint(self.case.name, *self.case.stories, criteria=criteria)
        return self.ids[0]

    async def until(self, *kinds: EventKind, story: str | None = None, after: int = 0) -> Any:
        return await self.orchard.until(*kinds, story=story or self.ids[0], after=after, seconds=SECONDS)

    async def merged(self, story: str | None = None, after: int = 0) -> Any:
        """Until a story is merged; it may not be blocked."""
        ends = (EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        event = await self.until(*ends, story=story, after=after)
        assert event.kind is EventKind.STORY_MERGED, event.data
        return event

    async def events(self, *kinds: EventKind, story: str | None = None) -> list[Any]:
        found = await self.commands.events(project=self.case.name, story_id=story, limit=1000)
        return [event for event in found if event.kind in kinds]

    async def asked(self, after: int = 0) -> Any:
        """The approval of the next question, and the event that told of it."""
        event = await self.until(EventKind.APPROVAL_REQUESTED, after=after)
        return await self.commands.approval(event.data["approval"]), event

    async def refusals(self) -> list[str]:
        refused = await self.events(EventKind.GATE_REFUSED)
        return [refusal["code"] for event in refused for refusal in event.data["refusals"]]


@pytest.fixture(scope="module")
def outcomes(new_farm: Callable[[], Any], git_in: Callable[..., str]) -> dict[str, BaseException | None]:
    farm = new_farm()
    farm.global_settings = {"max_total_agents": 8, "max_concurrent_projects": 8}
    farm.script = {"stories": {}}
    for each in CASES.values():
        farm.add(each.name, each.files)
        farm.own_settings[each.name] = each.settings
        farm.script["stories"].update(each.stories)

    async def all_of_them() -> list[BaseException | None]:
        async with farm.running() as orchard:
            lives = [
                each.run(Life(each, orchard, farm.projects[each.name], git_in, farm))
                for each in CASES.values()
            ]
            return await asyncio.gather(*lives, return_exceptions=True)

    return dict(zip(CASES, asyncio.run(all_of_them()), strict=True))


# --- projects of many shapes


@case(
    by_pytest=True,
    files={
        "README.md": "many",
        "packages/shop/calc.py": BASE["calc.py"],
        "packages/shop/tests/test_add.py": BASE["tests/test_add.py"],
        "packages/broken/tests/test_broken.py": "def test_of_somebody_else():\n    assert False\n",
    },
    stories={
        "a-folder-of-a-monorepo": plays(
            [write("packages/shop/tests/test_double.py", TEST)], [write("packages/shop/double.py", CODE)]
        )
    },
    folder="packages/shop",
)
async def a_folder_of_a_monorepo(life: Life) -> None:
    await life.begin()
    await life.merged()
    assert (life.checkout / "packages/shop/double.py").read_text() == CODE


@case(
    by_pytest=True,
    files={
        "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n',
        "src/shop/__init__.py": "",
        "src/shop/calc.py": BASE["calc.py"],
        "tests/test_add.py": BASE["tests/test_add.py"].replace("from calc", "from shop.calc"),
    },
    stories={
        "src-layout": plays(
            [write("tests/test_double.py", TEST.replace("from double", "from shop.double"))],
            [write("src/shop/double.py", CODE)],
        )
    },
)
async def src_layout(life: Life) -> None:
    await life.begin()
    await life.merged()


_CLASS = """import unittest

from {module} import {module}


class {name}(unittest.TestCase):
    def test_{module}(self):
        self.assertEqual({call}, {result})
"""


@case(
    by_pytest=True,
    files={
        "add.py": "def add(a, b):\n    return a + b\n",
        "tests/test_add.py": _CLASS.format(module="add", name="Add", call="add(1, 2)", result=3),
    },
    stories={
        "unittest-style-classes": plays(
            [
                write(
                    "tests/test_double.py",
                    _CLASS.format(module="double", name="Double", call="double(4)", result=8),
                )
            ]
        )
    },
)
async def unittest_style_classes(life: Life) -> None:
    story = await life.begin()
    await life.merged()
    (red,) = [gate for gate in (await life.commands.story(story)).gates if gate.phase is Phase.TEST_RED]
    assert red.verdict.evidence.red_files == ("tests/test_double.py",)


@case(by_pytest=True, files={"calc.py": BASE["calc.py"]})
async def a_repository_without_tests(life: Life) -> None:
    await life.begin()
    await life.merged()
    assert (life.checkout / "tests/test_double.py").read_text() == TEST


@case(
    stories={
        "no-acceptance-criteria": plays(
            design=[
                {
                    "when": 'feedback contains "no acceptance criteria"',
                    "then": [
                        write(
                            ".orch-state/stories/no-acceptance-criteria-1.md",
                            "# Double\n\n## Acceptance criteria\n\n- doubles a number\n",
                        )
                    ],
                    "else": [write(".orch-state/stories/no-acceptance-criteria-1.md", "# Double\n\nSoon.\n")],
                }
            ]
        )
    }
)
async def no_acceptance_criteria(life: Life) -> None:
    story = await life.begin(criteria=())
    await life.merged()
    assert await life.refusals() == ["no acceptance criteria"]
    assert "- doubles a number" in (await life.commands.story(story)).view.cycle.spec
    assert ".orch-state" not in life.git("ls-tree", "-r", "--name-only", "main")


# --- stories that meet

_REVIEWED = {"require_human_review": True}


async def meet_in_the_queue(life: Life) -> None:
    """All are done before people let any of them be merged. Who is sent back is let in again."""
    await life.begin()
    for story in life.ids:
        await life.until(EventKind.APPROVAL_REQUESTED, story=story)
    merging = asyncio.gather(*(life.merged(story) for story in life.ids))
    while not merging.done():
        for approval in await life.commands.approvals(life.case.name):
            await life.commands.answer_approval(approval.id, True, actor="cli")
        await asyncio.wait({merging}, timeout=0.1)
    await merging


def _listed(name: str) -> dict[str, Any]:
    test = f"from names import NAMES\n\nassert '{name}' in NAMES\n"
    add = f"""sed -i 's/\\[\\(.*\\)\\]/[\\1"{name}", ]/' names.py"""
    return plays([write(f"tests/test_{name}.py", test)], [{"run": add}])


@case(
    files={"names.py": "NAMES = []\n", "tests/test_names.py": "import names\n\n\ndef test_it():\n    pass\n"},
    stories={"ada": _listed("ada"), "bob": _listed("bob")},
    ai_settings=_REVIEWED,
)
async def two_stories_that_change_the_same_line(life: Life) -> None:
    await meet_in_the_queue(life)
    (back,) = await life.events(EventKind.STORY_SENT_BACK)
    assert (back.data["from"], back.data["to"]) == ("commit", "test_red")
    assert "names.py" in back.data["reason"]
    text = (life.checkout / "names.py").read_text()
    assert '"ada"' in text
    assert '"bob"' in text
    again = await life.events(EventKind.PHASE_STARTED, story=back.story_id)
    assert [event.data["phase"] for event in again].count("test_red") == 2
    assert life.git("rev-list", "--count", "main") == "3"


_REGISTRY = """from pathlib import Path


def names():
    parts = Path(__file__).with_name("parts")
    return [line for part in parts.glob("*.txt") for line in part.read_text().split()]
"""
_LIMIT = """from pathlib import Path


def test_limit():
    assert len(list(Path(__file__).parent.with_name("parts").glob("*.txt"))) <= 1
"""


def _part(name: str, other: str) -> dict[str, Any]:
    test = f"from registry import names\n\n\ndef test_{name}():\n    assert '{name}' in names()\n"
    fix = f"cat parts/{name}.txt >> parts/{other}.txt && rm parts/{name}.txt"
    code = {
        "when": 'feedback contains "test_limit"',
        "then": [{"run": fix}],
        "else": [write(f"parts/{name}.txt", f"{name}\n")],
    }
    return plays([write(f"tests/test_{name}.py", test)], [code])


@case(
    by_pytest=True,
    files={"registry.py": _REGISTRY, "tests/test_limit.py": _LIMIT},
    stories={"one": _part("one", "two"), "two": _part("two", "one")},
    ai_settings=_REVIEWED,
)
async def two_stories_that_pass_only_alone(life: Life) -> None:
    await meet_in_the_queue(life)
    (refused,) = await life.events(EventKind.GATE_REFUSED)
    assert refused.data["phase"] == "commit"
    assert refused.data["refusals"][0]["code"] == "a test that passed before fails"
    (back,) = await life.events(EventKind.STORY_SENT_BACK)
    assert (back.data["from"], back.data["to"]) == ("commit", "code_green")
    (part,) = (life.checkout / "parts").iterdir()
    assert sorted(part.read_text().split()) == ["one", "two"]
    assert life.git("rev-list", "--count", "main") == "3"


# --- questions to people

_WANTS = {"title": "Fetch the rates", "kind": "fetch", "command": "curl rates.example"}


def _asks(then: list[Any], other: list[Any]) -> dict[str, Any]:
    return {"ask": {**_WANTS, "then": then, "else": other}}


@case(stories={"a-question-answered-yes": plays(green=[_asks([GREEN], [])])})
async def a_question_answered_yes(life: Life) -> None:
    await life.begin()
    approval, _ = await life.asked()
    assert "Fetch the rates" in approval.question
    assert approval.detail
    await life.commands.answer_approval(approval.id, True, actor="cli")
    await life.merged()


@case(stories={"a-question-answered-no": plays(green=[_asks([], [GREEN, {"say": "I did without."}])])})
async def a_question_answered_no(life: Life) -> None:
    await life.begin()
    approval, _ = await life.asked()
    with pytest.raises(Exception, match="reason"):
        await life.commands.answer_approval(approval.id, False, actor="cli")
    await life.commands.answer_approval(approval.id, False, reason="Not from there.", actor="cli")
    await life.merged()
    assert any("I did without." in event.data["text"] for event in await life.events(EventKind.AGENT_SAID))
    with pytest.raises(NotAllowed):
        await life.commands.answer_approval(approval.id, True, actor="cli")


# --- agents that fail

_HALF = write("half.py", "# half\n")


@case(
    stories={"an-agent-that-hangs": plays(green=[[_HALF, {"hang": {"ignore": []}}], [GREEN]])},
    turn_timeout_seconds=25,  # which the turns before and after it do not need, however busy the machine
)
async def an_agent_that_hangs(life: Life) -> None:
    story = await life.begin()
    await life.merged()
    assert life.git("show", f"refs/orchard/salvage/{story}/1:half.py") == "# half"
    assert await life.events(EventKind.GATE_REFUSED) == []
    assert not (life.checkout / "half.py").exists()


@case(stories={"an-agent-that-crashes": plays(green=[[_HALF, "crash"], [GREEN]])})
async def an_agent_that_crashes(life: Life) -> None:
    story = await life.begin()
    await life.merged()
    assert life.git("show", f"refs/orchard/salvage/{story}/1:half.py") == "# half"
    started = [event.data for event in await life.events(EventKind.PHASE_STARTED)]
    assert [data["attempt"] for data in started if data["phase"] == "code_green"] == [1, 2]


# --- people who step in

_WAITS = _asks([RED], [RED])


@case(stories={"a-paused-sprint": plays([_WAITS])})
async def a_paused_sprint(life: Life) -> None:
    story = await life.begin()
    approval, _ = await life.asked()
    await life.commands.pause_sprint(life.case.name, actor="cli")
    await life.commands.answer_approval(approval.id, True, actor="cli")
    passed = await life.until(EventKind.GATE_PASSED)
    while passed.data["phase"] != "test_red":
        passed = await life.until(EventKind.GATE_PASSED, after=passed.seq)
    await asyncio.sleep(1.5)  # more than an interval of the dispatcher, which must do nothing in it
    resumed = await life.commands.resume_sprint(life.case.name, actor="cli")
    assert resumed.stories
    await life.merged()
    starts = await life.events(EventKind.PHASE_STARTED, story=story)
    (green,) = [event for event in starts if event.data["phase"] == "code_green"]
    changes = await life.events(EventKind.WORKFLOW_CHANGED)
    (back,) = [event for event in changes if event.data["old"] == "SPRINT_PAUSED"]
    assert passed.seq < back.seq < green.seq  # nothing began while it was paused


@case(stories={"a-project-stopped-in-a-turn": plays([_HALF, _WAITS, {"run": "rm half.py"}])})
async def a_project_stopped_in_a_turn(life: Life) -> None:
    story = await life.begin()
    first, event = await life.asked()
    await life.commands.stop_project(life.case.name, actor="cli")
    assert (await life.commands.approval(first.id)).state is ApprovalState.CANCELLED
    assert await life.commands.approvals(life.case.name) == ()
    view = await life.commands.project(life.case.name)
    assert view.worker.state == "stopped"
    await life.commands.start_project(life.case.name, actor="cli")
    second, _ = await life.asked(after=event.seq)
    assert second.id != first.id
    await life.commands.answer_approval(second.id, True, actor="cli")
    await life.merged()
    assert life.git("show", f"refs/orchard/salvage/{story}/1:half.py") == "# half"
    started = [event.data for event in await life.events(EventKind.PHASE_STARTED)]
    assert {data["attempt"] for data in started} == {1}  # being stopped is no failure of the agent


@case(stories={"a-story-skipped-in-a-turn": plays([_HALF, _WAITS])})
async def a_story_skipped_in_a_turn(life: Life) -> None:
    story = await life.begin()
    approval, _ = await life.asked()
    view = await life.commands.skip_story(story, "Not now.", actor="cli")
    assert view.story.state is StoryState.SKIPPED
    assert (await life.commands.approval(approval.id)).state is ApprovalState.CANCELLED
    salvaged = await life.until(EventKind.WORK_SALVAGED)
    assert life.git("show", f"{salvaged.data['ref']}:half.py") == "# half"
    async with asyncio.timeout(SECONDS):
        while life.git("for-each-ref", "refs/heads/orchard"):  # noqa: ASYNC110 - git's, not ours
            await asyncio.sleep(0.05)
    assert len(life.git("worktree", "list").splitlines()) == 1
    assert (await life.commands.workflow(life.case.name)).state is WorkflowState.SPRINT_REVIEW
    assert life.git("rev-list", "--count", "main") == "1"


@case()
async def a_checkout_in_the_way(life: Life) -> None:
    mine = life.checkout / "double.py"
    mine.write_text("# a person's own\n")
    story = await life.begin()
    blocked = await life.until(EventKind.STORY_BLOCKED)
    assert "double.py" in blocked.data["reason"]
    assert str(life.checkout) in blocked.data["reason"]
    assert mine.read_text() == "# a person's own\n"
    mine.unlink()
    await life.commands.suggest_fix(story, "I put it away.", actor="cli")
    await life.merged(after=blocked.seq)
    assert mine.read_text() == CODE
    passed = [event.data["phase"] for event in await life.events(EventKind.GATE_PASSED)]
    assert passed[:4] == ["design", "test_red", "code_green", "refactor"]
    assert set(passed[4:]) == {"commit"}  # the work itself was not done again


# --- tests that misbehave


def _told(word: str, lie: str) -> list[Any]:
    return [{"when": f'feedback contains "{word}"', "then": [GREEN], "else": [write("double.py", lie)]}]


@case(
    stories={
        "a-test-run-that-hangs": plays(
            green=_told("still running", f"import time\n\ntime.sleep(600)\n\n\n{CODE}")
        )
    },
    test_timeout_seconds=25,
)
async def a_test_run_that_hangs(life: Life) -> None:
    await life.begin()
    await life.merged()
    assert await life.refusals() == ["the test command did not end in time"]


_FLOOD = 'import os\n\nfor _ in range(1 << 14):\n    os.write(1, b"x" * (1 << 16))\n\n\n'  # 1 GiB


@case(
    by_pytest=True,
    files={**BASE, "pytest.ini": "[pytest]\naddopts = -s\n"},
    stories={"a-test-run-that-floods": plays(green=_told("printed more than", _FLOOD + CODE))},
)
async def a_test_run_that_floods(life: Life) -> None:
    await life.begin()
    await life.merged()
    assert await life.refusals() == ["the test command printed too much"]


@pytest.mark.parametrize("name", CASES)
def test_it_goes_well(outcomes: dict[str, BaseException | None], name: str) -> None:
    if (error := outcomes[name]) is not None:
        raise error
