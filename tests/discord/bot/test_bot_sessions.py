"""Sessions and agents from Discord: found, shown with what was said attached, branched off, linked."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import Person, PostedMessage
from core.domain.lifecycles import Phase
from core.domain.session import How, TurnOutcome
from core.gateway.service import GatewayView
from core.orchestrator.session_turns import transcripts_folder
from core.store import agent_sessions, usage
from core.store.agent_sessions import SessionTurn, turn_id_of
from core.store.transcript_index import TranscriptIndex
from tests.discord.bot.real_core import Orchard, private, settled

SHOP = "proj-shop"
HOSTILE = "@everyone **look** <@1> ``` [x](http://y) \u202e"


def state_of(orchard: Orchard) -> Path:
    return orchard.commands._registry.configuration.state_path


async def had_turn(orchard: Orchard, story: str, number: int = 1, said: str = "I count the fruit.") -> str:
    """A turn of an agent, with its transcript on the disk and in the index; its id."""
    now = orchard.clock.now()
    turn = SessionTurn(
        turn_id=turn_id_of(story, number),
        project="shop",
        subject=story,
        phase=Phase.CODE_GREEN,
        attempt=number,
        generation=number,
        run_id="",
        agent="codex",
        session_id="s1",
        how=How.FRESH,
        why="",
        template="code_green",
        template_version=3,
        template_source="",
        prompt_sha256="ab" * 32,
        outcome=TurnOutcome.IDLE,
        error="",
        tools=2,
        started_at=now - timedelta(seconds=90),
        ended_at=now,
        transcript=f"shop/{story}/code_green-1.{number}.jsonl",
    )
    at = "2026-11-21T10:00:00+00:00"
    prompt = {"prompt": [{"type": "text", "text": "Make the test pass."}], "sessionId": "s1"}
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": said}}
    entries = [
        {"at": at, "way": "out", "message": {"id": 1, "method": "session/prompt", "params": prompt}},
        {"at": at, "way": "in", "message": {"method": "session/update", "params": {"update": update}}},
    ]
    path = transcripts_folder(state_of(orchard)) / turn.transcript
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries), "utf-8")
    await orchard.store.write(lambda tx: agent_sessions.record(tx, turn))
    TranscriptIndex(state_of(orchard)).add(turn.turn_id, "shop", said, seq=number)
    return turn.turn_id


def says(words: str) -> Any:
    return lambda message: words in message.text


def shown(answer: Any) -> PostedMessage:
    assert answer.message is not None
    message: PostedMessage = answer.message
    return message


class TestSessions:
    async def test_they_are_listed_of_all_of_a_project_and_of_a_thread(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        assert "No agent has had a session here yet" in (await alice.slash("session list")).text
        story = await orchard.running_story()
        await had_turn(orchard, story.id)
        every = await alice.slash("session list")
        assert "`shop-1.1` **Add a basket**" in every.text
        assert "codex · 1 turn · nothing metered" in every.text
        await orchard.posted()
        assert "Sessions of shop" in (await alice.slash("session list", channel=SHOP)).text
        assert "Sessions of shop-1" in (await alice.slash("session list", {"story": "add a basket"})).text
        missing = await settled(alice, await alice.slash("session list", {"project": "nowhere"}))
        assert private(missing)

    async def test_one_is_shown_with_its_prompt_and_words_attached_without_mentions(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await had_turn(orchard, story.id, said=f"Done. {HOSTILE}")
        for answer in (
            await alice.slash("session show", {"session": "shop-1.1"}),
            await alice.slash("session show", {"session": story.id}),
        ):
            message = shown(answer)
            assert "`shop-1.1` **code\\_green**, try 1: idle · 1 min 30 s · 2 tools" in message.text
            assert "prompt `code_green` version 3" in message.text
            names = [one["filename"] for one in message.attachments]
            assert names == ["shop-1.1-prompt.txt", "shop-1.1.txt"]
            assert (await alice.download(message.attachments[0])).decode() == "Make the test pass."
            assert "agent: Done. @everyone" in (await alice.download(message.attachments[1])).decode()
            assert "\u202e" not in message.text
        mark = await alice.mark()
        await alice.say_to_bot("session shop-1.1")
        await alice.wait_for_message(says("Session shop-1.1"), after=mark)
        missing = await settled(alice, await alice.slash("session show", {"session": "shop-1.99"}))
        assert private(missing)

    async def test_many_turns_are_leafed_through_and_secrets_are_not_shown(
        self, orchard: Orchard, service: DiscordService, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        secret = "sk-ant-api03-" + "Qx7" * 20
        story = await orchard.running_story()
        for number in range(1, 25):
            await had_turn(orchard, story.id, number, said=f"The key is {secret}.")
        page = shown(await alice.slash("session show", {"session": story.id}))
        words = [(await alice.download(each)).decode() for each in page.attachments]
        assert not any(secret in text for text in (*words, page.text))
        seen = page.text
        while "More" in page.labels and "page 3 of 3" not in page.text:
            page = shown(await alice.press(page, "More"))
            assert page.attachments == []
            seen += page.text
        assert all(f"`shop-1.{number}`" in seen for number in range(1, 25))

    async def test_words_are_found_and_the_rest_is_leafed_through(
        self, orchard: Orchard, run_bot: Any, alice: Person
    ) -> None:
        async with run_bot():
            story = await orchard.running_story()
            for number in range(1, 26):
                await had_turn(orchard, story.id, number, said=f"The basket holds {number} apples.")
            page = shown(await alice.slash("session search", {"words": "basket apples", "project": "shop"}))
            assert "The \\[basket\\] holds" in page.text
            after = shown(await alice.press(page, "More"))
            assert "page 2 of 3" in after.text
            nothing = await alice.slash("session search", {"words": "pears"})
            assert "Nothing was found among 25 turns" in nothing.text
            none = await settled(alice, await alice.slash("session search", {"words": "!!"}))
            assert private(none)
        async with run_bot():  # a search is of a moment: a restart forgets it, and says so
            late = await settled(alice, await alice.press(after, "More"))
            assert private(late)
            assert "not kept any more" in late.text

    async def test_branched_off_linked_and_unlinked(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        other = await orchard.commands.add_story("shop", "Add a till", actor="cli")
        await had_turn(orchard, story.id)
        made = await alice.slash("session fork", {"session": story.id, "story": other.id})
        assert "The first turn of shop-2 goes on from shop-1's session of codex" in made.text
        linked = await alice.slash("session link", {"other": story.id, "story": other.id})
        assert "Its links: `shop-1`." in linked.text
        unlinked = await alice.slash("session unlink", {"other": story.id, "story": other.id})
        assert "Its links: none." in unlinked.text
        again = await settled(
            alice, await alice.slash("session unlink", {"other": story.id, "story": other.id})
        )
        assert private(again)
        by = await orchard.store.read(lambda conn: agent_sessions.fork_of(conn, other.id))
        assert by is not None
        assert by.by == f"discord:{await alice.user_id()}"


class TestAgents:
    async def test_who_is_there_and_what_holds_their_models(
        self, orchard: Orchard, service: DiscordService, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        until = orchard.clock.now() + timedelta(hours=2)
        await orchard.store.write(
            lambda tx: usage.hold(tx, "anthropic", kind="quota", reason=HOSTILE, until=until, tries=1)
        )
        answer = await alice.slash("agents")
        assert f"**anthropic** is at its usage limit until <t:{int(until.timestamp())}:t>" in answer.text
        assert "The model gateway is part of the running Orchard" in answer.text
        mark = await alice.mark()
        await alice.say_to_bot("agents")
        await alice.wait_for_message(says("Agents"), after=mark)

    async def test_the_running_gateway_is_told_of(
        self, orchard: Orchard, service: DiscordService, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Engine:
            async def gateway(self) -> GatewayView:
                return GatewayView(
                    alive=True, restarts=1, providers=("anthropic",), in_flight=2, held=1, calls=1234
                )

        monkeypatch.setattr(orchard.commands, "_engine", Engine())
        answer = await alice.slash("agents")
        assert "Model gateway for anthropic · 2 calls under way, 1 held · 1,234 in all" in answer.text
