"""Every post of every kind of event, made of nothing but hostile words: nothing pings, invites or hides."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.discord.notices import notice
from cogs.message import Attachment, Button, Card, Choice, Field, Message, Select
from cogs.outgoing import editing, sending
from core.domain.event import POSTED, Event
from core.known_secrets import known_secrets

VALUE = "a-secret-that-nobody-posts"
known_secrets.learn([VALUE])
AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
WORDS = (
    "@everyone @here <@1573714418007670784> <@&42> <#157371441800767078> [click](https://evil.example) "
    "<https://evil.example|click> ||spoiler|| discord.gg/abc https://discord.com/invite/x \u202egnp.exe "
    "\u200b\u2066\U000e0041 `` ` ``` \x1b[31m # big\n# bigger\n> quote\n-# small "
    f"https://discord.com@evil.example/ **bold** __under__ {VALUE}"
)
HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff\U000e0000-\U000e007f\x00-\x08\x0b-\x1f]")
PINGS = re.compile(r"@everyone|@here|<@[!&]?\d|<#\d{15}", re.IGNORECASE)
INVITES = re.compile(r"discord(app)?\.(gg|me|io|li)\b|discord(app)?\.com/+invite", re.IGNORECASE)
CODE = re.compile(r"```.*?```|(?<!\\)`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"(?<!\\)(\\\\)*(\[[^\]\n]*\]\(|<https?:[^>]*\||\|\|)")
OWN_LINK = re.compile(r"\[[^\]\n\\]*\]\(https://discord\.com/channels/[^)\s]*\)")


class Hostile(dict[str, Any]):
    """Event data in which every key holds the words, in one of the forms that data may have."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form

    def get(self, key: str, default: Any = None) -> Any:
        match self._form:
            case "text":
                return WORDS
            case "list":
                return [WORDS, WORDS]
            case "mapping":
                return {WORDS: WORDS}
            case "entries":
                return [Hostile("text")]
            case _:
                return Hostile("list")

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def __contains__(self, key: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


def marked_up(message: Message) -> Iterator[str]:
    """Each text that Discord reads as markdown."""
    yield message.text
    for card in message.cards:
        yield from (card.title, card.body)
        for field in card.fields:
            yield from (field.name, field.value)


def plain_texts(message: Message) -> Iterator[str]:
    for card in message.cards:
        yield card.footer
    for button in message.buttons:
        yield button.label
    if message.select is not None:
        yield message.select.placeholder
        for choice in message.select.choices:
            yield from (choice.label, choice.more)
    for file in message.attachments:
        yield file.name


@pytest.mark.parametrize("form", ["text", "list", "mapping", "entries", "nested"])
@pytest.mark.parametrize("kind", sorted(POSTED), ids=str)
def test_no_post_of_hostile_words_pings_invites_or_hides(kind, form):
    event = Event(kind=kind, at=AT, project="shop", story_id="shop-1", actor=WORDS, data=Hostile(form), seq=7)
    made = notice(event, WORDS)
    if made is None:
        return
    for text in marked_up(made.message):
        assert not HIDDEN.search(text), text
        assert not PINGS.search(text), text
        outside_code = CODE.sub("", text)
        assert not INVITES.search(outside_code), text
        assert not LINK.search(OWN_LINK.sub("", outside_code)), text
    for text in plain_texts(made.message):
        assert not HIDDEN.search(text), text
    for file in made.message.attachments:
        assert re.fullmatch(r"[\w.-]{1,100}", file.name), file.name
    sent = sending(made.message)
    assert VALUE not in str([embed.to_dict() for embed in sent["embeds"]])


def test_a_secret_is_in_nothing_that_is_sent():
    said = f"it is {VALUE}"
    message = Message(
        text=said,
        cards=(Card(title=said, body=said, footer=said, fields=(Field(name=said, value=said),)),),
        attachments=(Attachment(name="a.txt", text=said),),
        buttons=(Button(label=said, verb="why", target="x"),),
        select=Select(
            verb="v", target="t", placeholder=said, choices=(Choice(value="1", label=said, more=said),)
        ),
    )
    for sent in (sending(message), editing(message)):
        files = sent.get("files") or sent.get("attachments")
        shown = [
            sent["content"],
            *(embed.to_dict() for embed in sent["embeds"]),
            *(item.to_component_dict() for item in sent["view"].children),
            files[0].fp.read(),
        ]
        assert len(shown) == 5
        assert all(VALUE not in str(each) and "[redacted" in str(each) for each in shown)


FACES = Path(__file__).parents[4]
# What builds what Discord shows; nothing else may, so that everything goes one way.
BUILDERS = {
    "Embed": {"cogs/outgoing.py"},
    "SelectOption": {"cogs/outgoing.py"},
    "Button": {"cogs/outgoing.py"},
    "File": {"cogs/outgoing.py"},
    "Select": {"cogs/outgoing.py"},
    "TextInput": {"cogs/storyform.py", "bot/discord/form.py"},
    "Choice": {"cogs/completion.py"},
}
SENDS = {"send", "send_message", "reply"}


def test_everything_that_is_posted_goes_one_way():
    """Discord's own classes are made in one file, and every send takes what `sending` or `editing` made."""
    for path in [*(FACES / "cogs").rglob("*.py"), *(FACES / "bot/discord").rglob("*.py")]:
        name = path.relative_to(FACES).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            top, _, last = called.rpartition(".")
            if top in ("discord", "discord.ui", "app_commands") and last in BUILDERS:
                assert name in BUILDERS[last], f"{name}:{node.lineno}: {called}"
            if last in SENDS and top.split(".")[0] not in ("self", "asyncio", "sock"):
                keywords = {each.arg for each in node.keywords}
                spread = [ast.unparse(each.value) for each in node.keywords if each.arg is None]
                assert not keywords & {"content", "embed", "embeds", "file", "files", "view"}, (
                    f"{name}:{called}"
                )
                assert not node.args, f"{name}:{node.lineno}: {called} is given a text of its own"
                assert all(each.startswith(("sending(", "editing(")) for each in spread), f"{name}: {spread}"
