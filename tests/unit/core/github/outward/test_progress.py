from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.domain.github import Check, CheckConclusion, Pull, PullState, ReviewState, checks_state
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import Cycle, Priority, Story, StoryState, StoryStatus
from core.github.markers import PROGRESS, marked
from core.github.outward.progress import GateSeen, Progress, comment, pull_waits

_AT = datetime(2026, 3, 1, tzinfo=UTC)
_HEAD = "c1d2e3f4" * 5
_GITHUB = MarkdownIt("commonmark").enable("table")
_URL = "https://github.com/o/r/pull/12"


def story(**given: Any) -> Story:
    values: dict[str, Any] = {
        "id": "shop-3", "project": "shop", "number": 3, "title": "Totals", "body": "",
        "acceptance_criteria": (), "priority": Priority.NORMAL, "state": StoryState.ACTIVE, "sprint_id": None,
        "added_by": "cli", "added_at": _AT,
    }  # fmt: skip
    return Story(**values | given)


def cycle(state: CycleState = CycleState.CODE_GREEN, **given: Any) -> Cycle:
    values: dict[str, Any] = {
        "story_id": "shop-3", "project": "shop", "state": state, "attempt": 1, "base_commit": "a" * 40,
        "red_commit": None, "head_commit": _HEAD, "session_id": None, "spec": "", "feedback": "",
        "blocked_reason": "", "merge_commit": None, "generation": 1, "started_at": _AT, "updated_at": _AT,
    }  # fmt: skip
    return Cycle(**values | given)


def check(name: str, conclusion: CheckConclusion) -> Check:
    return Check(name=name, conclusion=conclusion, summary="", url="https://ci.example/1")


def pull(*checks: Check, **given: Any) -> Pull:
    values: dict[str, Any] = {
        "story_id": "shop-3", "project": "shop", "branch": "orchard/shop-3", "candidate": _HEAD, "tree": "",
        "base": "", "head": _HEAD, "number": 12, "url": _URL, "state": PullState.OPEN, "checks": checks,
        "checks_state": checks_state(checks), "review": ReviewState.NONE, "approvals": 0, "failures": 0,
        "merge_commit": None, "opened_at": None, "pushed_at": None, "updated_at": _AT,
    }  # fmt: skip
    return Pull(**values | given)


def gate(phase: Phase, said: str = "fine", *, passed: bool = True) -> GateSeen:
    return GateSeen(phase=phase, passed=passed, summary=said)


def progress(status: StoryStatus = StoryStatus.RUNNING, **given: Any) -> Progress:
    values: dict[str, Any] = {
        "story": story(),
        "status": status,
        "cycle": cycle(),
        "branch": "orchard/shop-3",
    }
    return Progress(**values | given)


def rows(text: str) -> list[str]:
    """The phases'."""
    return [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]


def test_the_first_line_says_how_it_stands() -> None:
    assert comment(progress()).startswith("🔨 **shop-3** is being written.\n")
    tried = progress(cycle=cycle(attempt=3))
    assert comment(tried).startswith("🔨 **shop-3** is being written, attempt 3.")


def test_each_phase_has_its_row() -> None:
    seen = progress(gates=(gate(Phase.DESIGN), gate(Phase.TEST_RED, "2 tests failed honestly")))
    assert rows(comment(seen)) == [
        "✅ Design: fine",
        "✅ Failing test: 2 tests failed honestly",
        "▶️ Code: at work",
        "▫️ Refactoring",
        "▫️ Merge",
    ]


def test_a_phase_that_was_passed_once_and_is_to_be_done_again_is_open() -> None:
    gates = (gate(Phase.DESIGN), gate(Phase.TEST_RED), gate(Phase.CODE_GREEN))
    sent_back = progress(cycle=cycle(CycleState.TEST_RED), gates=gates)
    assert "▫️ Code" in comment(sent_back)


def test_refusals_are_counted_since_the_last_pass() -> None:
    no = gate(Phase.CODE_GREEN, "still red", passed=False)
    seen = progress(gates=(no, gate(Phase.CODE_GREEN), no, no))
    assert "refused 2 times, last: still red" in comment(seen)


def test_a_blocked_story_says_why_and_what_next() -> None:
    text = comment(
        progress(
            StoryStatus.BLOCKED,
            cycle=cycle(blocked_reason="test_total fails\nand much more"),
            next="A person helps: /suggest_fix shop-3.",
        )
    )
    assert "> test_total fails\n" in text
    assert "much more" not in text
    assert "**Next, in Discord:** A person helps: /suggest_fix shop-3." in text


def test_phases_are_called_as_in_the_list() -> None:
    text = comment(progress(StoryStatus.STOPPED, sentence="is stopped in code_green by ann."))
    assert text.startswith("⏸️ **shop-3** is stopped in code by ann.")


def test_a_branch_is_named_where_it_was_pushed() -> None:
    assert "Commit `c1d2e3f`\n" in comment(progress())
    assert "branch `orchard/shop-3`" in comment(progress(pull=pull()))


def test_a_planned_story_has_no_phases() -> None:
    text = comment(progress(StoryStatus.PLANNED, cycle=None, sprint=2))
    assert text.startswith("🗓️ **shop-3** is planned for sprint 2, which has not started.")
    assert rows(text) == []


def test_a_pull_request_that_waits_is_said_with_how_far_its_checks_are() -> None:
    waiting = pull(check("lint", CheckConclusion.PASSED), check("test", CheckConclusion.RUNNING))
    text = comment(progress(StoryStatus.WAITING, cycle=cycle(CycleState.COMMIT), pull=waiting))
    assert text.startswith(f"⏳ **shop-3** waits for the checks of [#12]({_URL}): 1 of 2 have passed.")
    assert "**Checks:** ✅ 1 ⏳ 1" in text
    assert f"commit [`c1d2e3f`](https://x/commit/{_HEAD})" in comment(
        progress(StoryStatus.WAITING, cycle=cycle(CycleState.COMMIT), pull=waiting, html_url="https://x")
    )


def test_what_the_last_look_found_is_said_of_a_pull_request_whose_checks_have_passed() -> None:
    refused = (
        "waits: GitHub does not merge pull request #12: a review by @code-owners is missing; next when it is"
    )
    said = pull_waits(pull(check("a", CheckConclusion.PASSED), waits=refused))
    assert said is not None
    assert said.startswith(f"for [#12]({_URL}): GitHub does not merge pull request")
    assert "next when" not in said
    assert "@owners" not in said  # it would call them


def test_each_state_of_a_pull_request_has_its_words() -> None:
    ok, bad = check("a", CheckConclusion.PASSED), check("b", CheckConclusion.FAILED)
    said = [
        pull_waits(one)
        for one in (
            pull(number=None, url="", state=PullState.WANTED),
            pull(state=PullState.WANTED),
            pull(),
            pull(ok),
            pull(ok, bad),
            pull(ok, review=ReviewState.CHANGES_REQUESTED),
            pull(ok, state=PullState.LANDABLE),
            pull(ok, state=PullState.MERGED),
            None,
        )
    ]
    named = f"[#12]({_URL})"
    assert said == [
        "for the pull request to be opened.",
        f"for {named} to be updated.",
        f"for the checks of {named} to begin.",
        f"for a review of {named}; its checks have passed.",
        f"because checks of {named} have failed.",
        f"because changes were requested in {named}.",
        f"to be merged: {named} has all that it needs.",
        None,
        None,
    ]


def test_failed_checks_are_named_and_only_whole_addresses_are_links() -> None:
    failed = replace(check("unit | <b>", CheckConclusion.FAILED), url="javascript:alert(1)")
    text = comment(progress(StoryStatus.WAITING, cycle=cycle(CycleState.COMMIT), pull=pull(failed)))
    assert "❌ 1 (unit \\| &lt;b&gt;)" in text
    assert "javascript" not in text


def test_a_merged_story_names_its_commit_and_who_agreed() -> None:
    text = comment(
        progress(
            StoryStatus.DONE,
            story=story(state=StoryState.DONE),
            cycle=cycle(CycleState.DONE, merge_commit="d" * 40),
            approved=("@ann",),
            html_url="https://github.com/o/r",
        )
    )
    assert text.startswith(
        f"✅ **shop-3** is done: merged as [`ddddddd`](https://github.com/o/r/commit/{'d' * 40})."
    )
    assert "**Approved by** @\u200bann" in text
    assert text.count("✅") == 6
    assert "orchard:</code>" not in text  # nobody listens any more


def test_an_ended_story_stands_where_its_last_gate_was() -> None:
    text = comment(
        progress(
            StoryStatus.ABORTED,
            story=story(state=StoryState.ABORTED),
            cycle=cycle(CycleState.ABORTED),
            gates=(gate(Phase.DESIGN),),
            sentence="was aborted by the shell: no longer wanted",
        )
    )
    assert text.startswith("🚫 **shop-3** was aborted by the shell: no longer wanted")
    assert "⏹️ Failing test" in text


_ANY = st.text(st.sampled_from("@#1a<>|`*[]()\n\\$-!&\u202e"), max_size=40) | st.text(max_size=60)


@settings(max_examples=50)
@given(_ANY, _ANY, _ANY, st.sampled_from(list(StoryStatus)))
def test_whatever_is_said_there_it_stays_a_comment_of_ours(
    one: str, two: str, three: str, status: StoryStatus
) -> None:
    text = comment(
        progress(
            status,
            cycle=cycle(blocked_reason=one),
            gates=(gate(Phase.DESIGN, two), gate(Phase.CODE_GREEN, three, passed=False)),
            sentence=one,
            details=(two, three),
            next=three,
            approved=(two,),
            pull=pull(check(three, CheckConclusion.FAILED)),
        )
    )
    tokens = [inner for token in _GITHUB.parse(text) for inner in (token, *(token.children or ()))]
    html = [token.content for token in tokens if "html" in token.type]
    assert {part.strip() for part in "".join(html).split("\n")} <= {
        "",
        "<sub>",
        "<sub></sub>",
        "<sub><code></code></sub>",
        "<!-- orchard:progress shop-3 -->",
        "<sub><code></code></sub><!-- orchard:progress shop-3 -->",
        "<sub></sub><!-- orchard:progress shop-3 -->",
    }
    links = {token.attrs.get("href") for token in tokens if token.type == "link_open"}
    assert links <= {_URL, "https://ci.example/1"}
    lists = [token.markup for token in tokens if token.type == "list_item_open"]
    assert lists.count("-") == len(Phase)
    assert marked(text, PROGRESS, "shop-3")
    assert len(text) < 65_536
