"""Whatever happens in whatever order: people at issues, checks, faults of GitHub, webhooks that are lost,
doubled and out of order, restarts of Orchard. When it is quiet again both sides say the same.

STORM_SEEDS=1,2,3 STORM_STEPS=200 for other and longer ones; `make fuzz ARGS=...` runs this file, too.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.story import OVER
from core.github.markers import PROGRESS, marked
from core.orchestrator import pauses
from core.store import github_issues, stories
from tests.github_server.faults import Fault, secondary_limit
from tests.github_server.things import Issue

SEEDS = [int(each) for each in os.environ.get("STORM_SEEDS", "11").split(",")]
STEPS = int(os.environ.get("STORM_STEPS", "36"))
LIVES = 3
CALM_SECONDS = 200.0  # for three stories to land: what failed often is tried again later each time
WORKED = ("Multiply", "Subtract", "Divide")  # what the agent has a script for
SPEC = "# It\n\n## Acceptance criteria\n\n- it works\n"

pytestmark = pytest.mark.timeout(600)


@dataclass
class Storm:
    """`each` is the Orchard of this life."""

    dice: random.Random
    each: Any
    ideas: list[int] = field(default_factory=list)
    steered: int = 0

    async def step(self) -> None:
        names = ("add", "edit", "toggle", "unlabel", "delete", "comment", "check", "fault", "fault", "mail")
        await getattr(self, self.dice.choice(names))()
        await asyncio.sleep(self.dice.choice((0, 0, 0.05, 0.15)))

    @property
    def repository(self) -> Any:
        return self.each.repository

    def idea(self) -> int | None:
        """One that nobody works at."""
        return self.dice.choice(self.ideas) if self.ideas else None

    async def add(self) -> None:
        body = "- [ ] it works\n" if self.dice.random() < 0.5 else None
        title = f"Idea {self.dice.randrange(10**6)}"
        self.ideas.append(self.repository.add_issue(title, body, labels=["orchard"], author="mia").number)

    async def edit(self) -> None:
        if (number := self.idea()) is not None:
            self.repository.edit_issue(number, title=f"Idea {self.dice.randrange(10**6)}", by="mia")

    async def toggle(self) -> None:
        if (number := self.idea()) is not None:
            state = "open" if self.repository.issue(number).state == "closed" else "closed"
            self.repository.edit_issue(number, state=state, by="mia")

    async def unlabel(self) -> None:
        if (number := self.idea()) is not None:
            there = {label.name for label in self.repository.issue(number).labels}
            if "orchard" in there:
                self.repository.remove_label(number, "orchard", by="mia")
            else:
                self.repository.add_labels(number, "orchard", by="mia")

    async def delete(self) -> None:
        if (number := self.idea()) is not None and self.dice.random() < 0.3:
            self.ideas.remove(number)
            self.repository.delete_issue(number, by="mia")

    async def comment(self) -> None:
        number = self.dice.choice([1, 2, 3, *self.ideas])
        text = self.dice.choice(("Nice.", "@orchard: keep it short, please.", "orchard: status"))
        self.repository.comment(number, text, "mia")

    async def check(self) -> None:
        for pull in self.repository.open_pulls():
            conclusion = self.dice.choice((None, "success"))
            self.repository.set_check(pull.head_sha, "ci", conclusion, summary="2 tests")

    async def fault(self) -> None:
        method = self.dice.choice(("GET", "POST", "PATCH", "PUT", ""))
        path = self.dice.choice(("issues", "comments", "pulls", "check-runs", "labels", ""))
        how = self.dice.choice(
            (
                {"status": 502, "html": True},
                {"status": 500, "times": 2},
                {"cut_before": True},
                {"cut_after": True},
                {"delay_after_seconds": 0.3},
            )
        )
        if self.dice.random() < 0.1:
            self.each.server.fail(secondary_limit(1))
        elif self.dice.random() < 0.2:
            self.each.server.git.failing.append(500)
        else:
            self.each.server.fail(Fault(method=method, path=path, **how))

    async def mail(self) -> None:
        deliveries = self.each.server.deliveries
        match self.dice.randrange(5):
            case 0:
                deliveries.hold()
            case 1:
                deliveries.release(lambda held: self.dice.sample(held, len(held)))
            case 2:
                deliveries.release(lambda held: held[: len(held) // 2])
            case 3:
                deliveries.copies = self.dice.choice((1, 2, 3))
            case 4 if deliveries.sent:
                deliveries.redeliver(self.dice.choice(deliveries.sent))

    def calm(self) -> None:
        """Nothing fails any more. What was lost stays so."""
        server = self.each.server
        server.faults.clear()
        server.git.failing.clear()
        server.deliveries.copies = 1
        server.deliveries.release()


@pytest.mark.parametrize("seed", SEEDS)
async def test_both_sides_say_the_same_after_any_disorder(
    whole: Any, farm: Any, git_in: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "_PUT_OFF_SECONDS", 0.5)
    for number, title in enumerate(WORKED, 1):  # who is steered early is asked to specify
        spec = {"path": f".orch-state/stories/design-{number}.md", "text": SPEC}
        farm.script["stories"][title]["design"] = [{"write": spec}]
    dice = random.Random(seed)
    storm: Storm | None = None
    for life in range(LIVES):
        async with whole(gaps=2, check_failures=100) as each:
            storm = storm or Storm(dice=dice, each=each)
            storm.each = each
            if life == 0:
                for title in WORKED:
                    each.repository.add_issue(title, "- [ ] it works\n", labels=["orchard"], author="mia")
                await each.taken_in(len(WORKED))
                await each.sprint()
            for _ in range(STEPS // LIVES):
                await storm.step()
            if life == LIVES - 1:
                await settle(storm)
                await compare(each, git_in(farm.projects["calc"], "log", "--no-merges", "--format=%H %s"))


async def settle(storm: Storm) -> None:
    each = storm.each
    storm.calm()
    commands = each.orchard.runtime.commands

    async def landed() -> int:
        each.pass_checks()
        return len({event.story_id for event in await each.told(EventKind.STORY_MERGED)})

    await each.until_it(landed, len(WORKED), CALM_SECONDS)
    await each.until(lambda: not each.repository.open_pulls())
    await commands.feedback("calc", "Well done.", actor="cli")  # until then no issue is taken in

    async def same() -> list[str]:
        await commands.sync_repository("calc", actor="cli")
        return await commands_differ(each)

    await each.until_it(same, [])


async def commands_differ(each: Any) -> list[str]:
    """What one side has and the other has not, in words."""

    def look(conn: sqlite3.Connection) -> list[str]:
        found = []
        standing = {}
        for link in github_issues.of_project(conn, "calc"):
            story = stories.get(conn, link.story_id)
            if story.state not in OVER:
                standing[link.number] = story.title
        wanted = {number: issue.title for number, issue in each.repository.issues.items() if is_wanted(issue)}
        for number in sorted({*standing, *wanted}):
            if standing.get(number) != wanted.get(number):
                found.append(f"#{number}: {standing.get(number)} here, {wanted.get(number)} there")
        for number in (1, 2, 3):
            if each.repository.issue(number).state != "closed":
                found.append(f"#{number} is not closed")
        return found

    return await each.orchard.runtime.store.read(look)


def is_wanted(issue: Issue) -> bool:
    labels = {label.name for label in issue.labels}
    return issue.pull is None and issue.state == "open" and "orchard" in labels


async def compare(each: Any, log: str) -> None:
    merged = [event.story_id for event in await each.told(EventKind.STORY_MERGED)]
    assert sorted(merged) == ["calc-1", "calc-2", "calc-3"]
    assert len(log.splitlines()) == 1 + len(WORKED)
    assert log.split()[0] == each.repository.head()
    pulls = [issue.pull for issue in each.repository.issues.values() if issue.pull]
    assert sorted(pull.head for pull in pulls if pull.merged_at) == sorted({pull.head for pull in pulls})
    for issue in each.repository.issues.values():
        names = {f"calc-{number}" for number in range(1, 500)}
        said = [name for text in each.comments(issue) for name in names if marked(text, PROGRESS, name)]
        assert len(said) == len(set(said))
        assert len(said) == 1 or issue.number > len(WORKED)
    views = await each.orchard.runtime.commands.stories("calc")
    linked = [view.story.id for view in views if view.story.state not in OVER]
    assert len(linked) == len([issue for issue in each.repository.issues.values() if is_wanted(issue)])
