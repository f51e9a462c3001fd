"""Whatever the clients of Discord can send is answered clearly; nothing is pinged, nothing breaks.

Tables of commands, options, buttons and forms come from the bot itself: what is new is covered by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import Answer, CannotDo, LocalGuild, Person, PostedMessage
from bot.localguild.permissions import Permission
from cogs.access import RIGHTS, Right, control
from cogs.message import Button, Message
from cogs.outgoing import sending
from core.domain.event import EventKind
from tests.discord.bot.real_core import private, settled
from tests.discord.openapi_checker import ExchangeChecker
from tests.waiting import until

pytestmark = pytest.mark.timeout(170)  # hundreds of answers each

STRING = 3
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
BROKEN = "Something went wrong inside Orchard"
TEXTS = {
    "one character": "x",
    "2,000 characters": "x" * 2000,
    "6,000 characters": "y " * 3000,
    "mentions": "@everyone @here <@&1> <@2> <@!3> <#4> @EVERYONE",
    "markdown": "```js\n# **big** __u__ [text](http://x)\n```\n||s|| > q\n-# small `",
    "hidden characters": "a\x00b\x1b[31mc\u202etxt.exe\u2066\u200b\ufeff\U000e0041",
    "an unknown id": "shop-999",
    "another unknown id": "nowhere-e7",
    "a picture": "🙂" * 40,
}
PROPOSALS = "## A basket\nAcceptance criteria:\n- it holds\n## A till\nAcceptance criteria:\n- it counts\n"


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One text option of one command, and what else the command wants."""

    command: str
    option: str
    others: Mapping[str, Any]
    shortest: int
    longest: int


def walk(commands: list[dict[str, Any]], before: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for command in commands:
        path = f"{before} {command['name']}".strip()
        options = command.get("options", [])
        if any(option["type"] in (1, 2) for option in options):
            yield from walk([option for option in options if option["type"] in (1, 2)], path)
        else:
            yield path, options


SENSIBLE = {"project": "shop", "story": "shop-1", "path": "/nowhere", "paths": "/nowhere", "name": "cart"}


def sensible(option: dict[str, Any]) -> Any:
    if option.get("choices"):
        return option["choices"][0]["value"]
    if option["type"] != STRING:
        return option.get("min_value", 1)
    return SENSIBLE.get(option["name"], "words")


def spots(commands: list[dict[str, Any]]) -> list[Spot]:
    found = []
    for path, options in walk(commands):
        wanted = {
            o["name"]: sensible(o) for o in options if o.get("required") or o["name"] in ("project", "story")
        }
        found += [
            Spot(
                command=path,
                option=option["name"],
                others={name: value for name, value in wanted.items() if name != option["name"]},
                shortest=option.get("min_length", 1),
                longest=option.get("max_length", 6000),
            )
            for option in options
            if option["type"] == STRING and not option.get("choices")
        ]
    return found


@pytest.fixture
async def workshop(orchard: Any, service: DiscordService) -> AsyncIterator[Any]:
    """A project with stories in many states: proposed, in the backlog, at work, blocked."""
    blocked = await orchard.commands.add_story("shop", "Add a basket", actor="cli")
    running = await orchard.commands.add_story("shop", "Add a till", actor="cli")
    await orchard.propose(PROPOSALS)
    await orchard.commands.add_story("shop", "Later", actor="cli")
    await orchard.commands.plan_sprint("shop", stories=[blocked.id, running.id], actor="cli")
    await orchard.commands.start_sprint("shop", actor="cli")
    await orchard.block(blocked)
    await orchard.ask(running)
    await orchard.posted()
    return orchard


@pytest.fixture(autouse=True)
def nothing_pings(guild: LocalGuild) -> Iterator[None]:
    yield
    said = [one for channel in guild.world.guild.channels.values() for one in channel.messages.values()]
    pings = [
        one.content
        for one in said
        if one.author.id == guild.world.bot_id
        and (one.mention_everyone or one.mention_roles or one.mention_users)
    ]
    assert pings == []


def check(answer: Answer, what: str) -> None:
    assert answer.text or answer.modal, f"{what}: no answer"
    assert BROKEN not in answer.text, f"{what}: {answer.text}"


def turned(place: int, turn: int) -> tuple[str, ...]:
    """All texts, begun with another at each place and, there, in each of three turns."""
    texts, first = tuple(TEXTS.values()), (place + 3 * turn) % len(TEXTS)
    return texts[first:] + texts[:first]


class TestTexts:
    @pytest.mark.parametrize("turn", range(3))
    async def test_each_text_option_takes_whatever_a_client_sends(
        self, workshop: Any, alice: Person, turn: int
    ) -> None:
        """The first text that fits there: of three turns, each by itself, as what was done is done."""
        places = spots(await alice.commands())
        assert len(places) > 60
        sent = set()
        for at, spot in enumerate(places):
            text = next(one for one in turned(at, turn) if spot.shortest <= len(one.strip()) <= spot.longest)
            sent.add(text)
            answer = await alice.slash(spot.command, {**spot.others, spot.option: text})
            check(await settled(alice, answer), f"/{spot.command} {spot.option} {text[:20]!r}")
        assert sent == set(TEXTS.values())

    @pytest.mark.parametrize("size", [0, 6001, 100_000])
    async def test_what_a_client_does_not_send_never_arrives(
        self, service: DiscordService, alice: Person, size: int
    ) -> None:
        for spot in spots(await alice.commands()):
            with pytest.raises(CannotDo, match="length"):
                await alice.slash(spot.command, {**spot.others, spot.option: "x" * size})

    async def test_each_suggestion_takes_whatever_is_typed(self, workshop: Any, alice: Person) -> None:
        """Every text where something of its kind is asked for first; one each, in turn, wherever else."""
        texts, asked, kinds = ("", *TEXTS.values()), 0, set()
        for path, options in walk(await alice.commands()):
            for option in options:
                if not option.get("autocomplete"):
                    continue
                some = (texts[asked % len(texts)],) if option["name"] in kinds else texts
                kinds.add(option["name"])
                for text in some:
                    offered = await alice.autocomplete(path, option["name"], text)
                    assert len(offered) <= 25
                    asked += 1
        assert len(kinds) > 3
        assert asked > 80

    async def test_as_text_with_a_mention_too(self, workshop: Any, alice: Person) -> None:
        for text in TEXTS.values():
            if len(text) > 1900:
                continue
            for command in ("backlog add_story", "tdd next", "story steer shop-2", "dance", "state"):
                last = await alice.mark()
                await alice.say_to_bot(f"{command} {text}"[:1990])
                answer = await alice.wait_for_message(lambda m: m.author == "Orchard", after=last)
                assert BROKEN not in answer.text


async def post(service: DiscordService, alice: Person, *buttons: Button) -> PostedMessage:
    """Puts buttons into the general channel, as an old message of the bot has them; alice sees it."""
    _, server = await service._gateway.home()
    [channel] = [one for one in server.text_channels if one.name == "general"]
    message = await channel.send(**sending(Message(text="an old message", buttons=buttons)))
    return await seen(alice, str(message.id))


async def seen(alice: Person, message_id: str) -> PostedMessage:
    [message] = [one for one in await alice.messages("general", limit=10) if one.id == message_id]
    return message


THERE = ("shop-1", "shop-2", "shop-3", "shop-e1")
NOT_THERE = ("shop-999", "nowhere:3", "diagram:nowhere", "💥", "a" * 70)


def verbs(service: DiscordService) -> list[str]:
    return sorted(service._counter.presses)


class TestButtons:
    @pytest.mark.parametrize("target", THERE)
    async def test_each_button_on_whatever_it_is_about(
        self, workshop: Any, service: DiscordService, alice: Person, target: str
    ) -> None:
        for verb in verbs(service):
            message = await post(service, alice, Button(label="Do", verb=verb, target=target))
            for _ in range(2):  # and once more, on what may be over now
                answer = await settled(alice, await alice.press(message, f"orchard:{verb}:{target}"))
                check(answer, f"{verb} {target}")
                if "Do" not in (await seen(alice, message.id)).labels:
                    break

    async def test_each_button_on_what_there_is_not(
        self, workshop: Any, service: DiscordService, alice: Person
    ) -> None:
        for verb in verbs(service):
            buttons = [Button(label=str(n), verb=verb, target=one) for n, one in enumerate(NOT_THERE)]
            message = await post(service, alice, *buttons)
            for target in NOT_THERE:
                answer = await settled(alice, await alice.press(message, f"orchard:{verb}:{target}"))
                check(answer, f"{verb} {target}")
                if len((await seen(alice, message.id)).labels) < len(buttons):  # an answer took its place
                    message = await post(service, alice, *buttons)

    @pytest.mark.parametrize("turn", range(3))
    async def test_each_form_takes_whatever_is_written(
        self, workshop: Any, service: DiscordService, alice: Person, turn: int
    ) -> None:
        """Each with another text, in three turns; in each a form is of what it is about, as it was then."""
        shown = []
        for verb in sorted({*service._counter.submits, *service._counter.fills}):
            for target in ("shop-1", "shop-3", "shop-e1"):
                message = await post(service, alice, Button(label="Do", verb=verb, target=target))
                form = await settled(alice, await alice.press(message, "Do"))
                if form.modal is not None:
                    shown.append((f"{verb} {target}", form))
        assert len(shown) >= 8
        for at, (what, form) in enumerate(shown):
            text = turned(at, turn)[0]
            inputs = [part["component"] for part in form.modal["components"]]
            values = {one["custom_id"]: text[: one["max_length"]] for one in inputs}
            check(await settled(alice, await alice.submit(form, values)), f"{what} {text[:20]!r}")

    async def test_a_double_click_does_it_once(
        self, workshop: Any, service: DiscordService, alice: Person
    ) -> None:
        message = await post(service, alice, Button(label="Do", verb="accept_all", target="shop-e1"))
        answers = await asyncio.gather(
            *(alice.press(message, "Do") for _ in range(4)), return_exceptions=True
        )
        for answer in answers:
            assert isinstance(answer, (Answer, CannotDo)), answer
        kinds = [event.kind for event in await workshop.commands.events(limit=1000)]
        assert kinds.count("stories_approved") <= 1  # the state may forbid it; never twice

    async def test_a_button_of_another_version(self, service: DiscordService, alice: Person) -> None:
        message = await post(service, alice, Button(label="Do", verb="dance", target="x"))
        answer = await settled(alice, await alice.press(message, "Do"))
        assert private(answer)
        assert "another version" in answer.text


class TestRights:
    async def test_who_may_only_look_changes_nothing(
        self, orchard: Any, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        await orchard.running_story()
        async with run_bot(roles=frozenset({"dev"})) as service:
            before = (await orchard.commands.events(limit=1000))[-1].seq
            steering = 0
            for path, options in walk(await alice.commands()):
                filled = {o["name"]: sensible(o) for o in options if o.get("required")}
                answer = await settled(alice, await alice.slash(path, filled))
                if RIGHTS[path] is Right.STEER:
                    steering += 1
                    assert private(answer), path
                    assert "dev" in answer.text, path
            assert steering > 25
            for verb in verbs(service):
                if RIGHTS[control(verb)] is not Right.STEER:
                    continue
                message = await post(service, alice, Button(label="Do", verb=verb, target="shop-1"))
                answer = await settled(alice, await alice.press(message, "Do"))
                assert private(answer), verb
                assert "dev" in answer.text, verb
            assert [e.kind for e in await orchard.commands.events(after=before, limit=1000)] == []

    async def test_in_private_messages_nothing_is_done(self, service: DiscordService, alice: Person) -> None:
        with pytest.raises(CannotDo):
            await alice.slash("state", channel="@bot")


class TestGone:
    @pytest.fixture
    def slow(self, orchard: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
        """Looking at a state sets the first and waits for the second."""
        asked, go_on, real = asyncio.Event(), asyncio.Event(), orchard.commands.workflow

        async def slowly(project: str) -> Any:
            asked.set()
            await go_on.wait()
            return await real(project)

        monkeypatch.setattr(orchard.commands, "workflow", slowly)
        return asked, go_on

    @pytest.mark.parametrize("what", ["channel", "message"])
    async def test_what_is_deleted_while_the_answer_is_made(
        self,
        service: DiscordService,
        alice: Person,
        slow: tuple[asyncio.Event, asyncio.Event],
        checker: ExchangeChecker,
        what: str,
    ) -> None:
        asked, go_on = slow
        _, server = await service._gateway.home()
        place = await server.create_text_channel("short-lived")
        await alice.wait_for_channel(lambda c: c.name == "short-lived")
        sent = await place.send(
            **sending(Message(text="old", buttons=(Button(label="Do", verb="state", target="project:shop"),)))
        )
        message = await alice.wait_for_message(lambda m: m.id == str(sent.id))
        pressed = asyncio.create_task(alice.press(message, "Do", until="ack"))
        await asked.wait()
        await (place.delete() if what == "channel" else sent.delete())
        go_on.set()
        await until(lambda: checker.requests("POST", CALLBACK), "an answer, though its place is gone")
        pressed.cancel()
        await asyncio.wait({pressed})
        assert "shop: IDLE" in (await alice.slash("state", {"project": "shop"}, channel="general")).text

    async def test_a_thread_that_is_deleted_is_made_again(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.posted()
        [thread] = await alice.threads("proj-shop")
        _, server = await service._gateway.home()
        await (await server.fetch_channel(int(thread.id))).delete()
        await orchard.commands.stop_story(story.id, actor="cli")
        await orchard.posted()
        told = await alice.wait_for_message(lambda m: "Stopped by" in m.text)
        assert told.channel_id != thread.id

    @pytest.mark.parametrize("left", [Permission.VIEW_CHANNEL, Permission(0)], ids=["look", "nothing"])
    async def test_a_bot_without_permissions_still_answers(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person, left: Permission
    ) -> None:
        await orchard.running_story()
        await orchard.posted()
        guild.world.set_bot_permissions(left)
        for command, options in (
            ("state", {"project": "shop"}),
            ("backlog add_story", {"project": "shop", "title": "More"}),
            ("tdd overview", {"project": "shop"}),
        ):
            check(await settled(alice, await alice.slash(command, options)), command)
        burndown = await alice.slash("sprint burndown", {"project": "shop"})

        async def drawn() -> bool:
            message = (await alice.look_again(burndown)).message
            return message is not None and bool(message.attachments)

        await until(drawn, "a picture")
        assert [view.story.title for view in await orchard.commands.backlog("shop")] == ["More"]


class TestLimits:
    async def test_commands_fit_discords_limits(self, service: DiscordService, alice: Person) -> None:
        commands = await alice.commands()
        assert len(commands) <= 100
        for command in commands:
            assert characters(command) <= 8000, command["name"]
            for _, options in walk([command]):
                assert len(options) <= 25
                assert all(len(option.get("choices", ())) <= 25 for option in options)
            assert len(command.get("options", ())) <= 25


def characters(entry: dict[str, Any]) -> int:
    """What Discord counts: names, descriptions and choices of a command and all that is in it."""
    own = len(entry["name"]) + len(entry.get("description", ""))
    choices = sum(len(one["name"]) + len(str(one["value"])) for one in entry.get("choices", ()))
    return own + choices + sum(characters(one) for one in entry.get("options", ()))
