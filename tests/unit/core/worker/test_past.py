from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.agents.setup import AgentSetup
from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.worker.contract import LinkedStory, PastTurn, PhaseJob, ProjectSetup
from core.worker.past import Past, bring_home

KEY = "sk-ant-api03-" + "Zz9_" * 12


def past_turn(transcript: str, story: str = "shop-1", project: str = "shop") -> PastTurn:
    return PastTurn(
        project=project,
        story_id=story,
        phase=Phase.DESIGN,
        attempt=1,
        agent="codex",
        ended_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        outcome="idle",
        transcript=transcript,
    )


def job(state: Path, **changes) -> PhaseJob:
    return PhaseJob(
        project=ProjectSetup(name="shop", path=state, main_branch="main", state_path=state),
        agent=AgentSetup(
            name="codex", kind="acp", argv=("/bin/true",), environment={"MY_API_KEY": "own-key-1234"}
        ),
        story=StoryBrief(id="shop-1", title="T", body="", acceptance_criteria=()),
        phase=Phase.DESIGN,
        attempt=1,
        generation=2,
        base_commit=None,
        red_commit=None,
        head_commit=None,
        red_evidence=None,
        **changes,
    )


@pytest.fixture
def told(tmp_path):
    """Writes a transcript in which the agent said something."""

    def write(name: str, text: str) -> str:
        path = tmp_path / "transcripts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = [{"type": "text", "text": "Orchard-Phase: design\n\nDo it."}]
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
        messages = (
            ("out", {"method": "session/prompt", "params": {"prompt": blocks}}),
            ("in", {"method": "session/update", "params": {"update": update}}),
        )
        path.write_text("".join(json.dumps({"way": way, "message": each}) + "\n" for way, each in messages))
        return name

    return write


async def test_what_was_before_is_told_as_data_and_without_secrets(tmp_path, told):
    name = told("shop/shop-1/design-1.1.jsonl", f"I used {KEY} and own-key-1234 and hidden-value.")
    past = Past(job(tmp_path, past=(past_turn(name),), secrets=("hidden-value",)))

    seed = await past.seed()

    assert seed.startswith("This story was worked on before")
    assert (
        "===== an earlier session: begin =====\n[design, attempt 1, by codex, 2026-03-01 12:00 UTC]" in seed
    )
    assert not any(secret in seed for secret in (KEY, "own-key-1234", "hidden-value"))


@pytest.mark.parametrize("name", ["shop/shop-1/gone.jsonl", "../outside.jsonl", "shop/shop-1/link.jsonl"])
async def test_what_is_not_there_or_not_ours_tells_nothing(tmp_path, told, name):
    told("../outside.jsonl", "secret of others")
    folder = tmp_path / "transcripts" / "shop" / "shop-1"
    folder.mkdir(parents=True)
    (folder / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")

    assert await Past(job(tmp_path, past=(past_turn(name),))).seed() == ""


async def test_linked_stories_are_told_under_their_own_names(tmp_path, told):
    name = told("blog/blog-2/design-1.1.jsonl", "The lock was the cause.")
    empty = LinkedStory(
        project="blog", story_id="blog-3", title="x", turns=(past_turn("gone", "blog-3", "blog"),)
    )
    linked = LinkedStory(
        project="blog", story_id="blog-2", title="A\ntitle", turns=(past_turn(name, "blog-2", "blog"),)
    )

    (found,) = await Past(job(tmp_path, linked=(empty, linked))).linked()

    assert (found.project, found.story_id, found.day, found.own_project) == (
        "blog",
        "blog-2",
        "2026-03-01",
        False,
    )
    assert found.record.startswith("blog-2: A title\n\n[design, attempt 1, by codex")
    assert "The lock was the cause." in found.record


def test_a_home_is_copied_as_it_is_and_what_never_ends_is_left_out(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b" / "codex"
    (source / "sessions").mkdir(parents=True)
    (source / "sessions" / "s.json").write_text("{}")
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")

    assert bring_home(source, target)

    assert (target / "sessions" / "s.json").read_text() == "{}"
    assert (target / "link").is_symlink()
    assert not (target / "pipe").exists()
    assert not bring_home(source, target)  # what is there stays
    assert not bring_home(tmp_path / "gone", tmp_path / "c")
