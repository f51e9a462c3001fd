"""Messages, rooms and forms, as a real guild tells them."""

from __future__ import annotations

from typing import Any

import pytest

from bot.localguild.drafts import Upload, read_draft
from bot.localguild.model import Channel, ChannelType, MessageFlag, ThreadDetails
from bot.localguild.payloads import event_message
from bot.localguild.posts import post
from bot.localguild.seat import Seat
from bot.localguild.server import LocalGuild
from bot.web.dashboard.chat.forms import fields_of
from bot.web.dashboard.chat.markup import Names
from bot.web.dashboard.chat.posts import Control, posts_of
from bot.web.dashboard.chat.rooms import names_of, room_of, sections_of

BUTTONS = {
    "type": 1,
    "components": [
        {"type": 2, "style": 3, "label": "Approve", "custom_id": "orchard:approve:a1"},
        {"type": 2, "style": 4, "label": "Reject", "custom_id": "orchard:reject:a1", "disabled": True},
        {"type": 2, "style": 5, "label": "See", "url": "https://example.org/"},
    ],
}
SELECT = {
    "type": 1,
    "components": [
        {
            "type": 3,
            "custom_id": "pick",
            "placeholder": "Which?",
            "max_values": 2,
            "options": [
                {"label": "One", "value": "1", "description": "the first"},
                {"label": "Two", "value": "2"},
            ],
        }
    ],
}


class Guild:
    def __init__(self) -> None:
        self.world = LocalGuild().world
        self.ann = Seat(self.world, self.world.add_person("Ann"))
        self.general = self.world.guild.guild_channels[0]

    def says(self, body: dict[str, Any], *files: Upload, bot: bool = True, **more: Any) -> dict[str, Any]:
        user = self.world.guild.bot if bot else self.ann.user
        made = post(self.world, self.general, user, read_draft(body, files), **more)
        return event_message(self.world.guild, made, viewer_id=self.ann.user.id)

    def names(self, *messages: dict[str, Any]) -> Names:
        channels = [self.ann.shown_channel(one) for one in self.ann.channels()]
        return names_of(channels, messages, {}, {})


@pytest.fixture
def guild() -> Guild:
    return Guild()


def test_who_said_it_is_told_once_for_what_follows(guild: Guild) -> None:
    said = [
        guild.says({"content": "a"}),
        guild.says({"content": "b"}),
        guild.says({"content": "c"}, bot=False),
    ]
    posts = posts_of(said, guild.names(*said))
    assert [one.headed for one in posts] == [True, False, True]
    assert [(one.author, one.is_bot) for one in posts] == [
        ("Orchard", True),
        ("Orchard", True),
        ("Ann", False),
    ]


def test_an_embed_shows_its_parts_and_escapes_them(guild: Guild) -> None:
    embed = {
        "title": "<b>T</b>",
        "description": f"by <@{guild.ann.user.id}>",
        "color": 0x2E9E5B,
        "fields": [{"name": "**N**", "value": "`v`", "inline": True}],
        "footer": {"text": "shop · #1"},
    }
    said = guild.says({"embeds": [embed], "content": ""})
    [shown] = posts_of([said], names_of([], [said], {str(guild.ann.user.id): "Ann"}, {}))
    assert "border-left-color: #2e9e5b" in shown.html
    assert "&lt;b&gt;T&lt;/b&gt;" in shown.html
    assert '<span class="m-mention">@Ann</span>' in shown.html
    assert "<strong>N</strong>" in shown.html
    assert "shop · #1" in shown.html


def test_buttons_and_selects_are_controls(guild: Guild) -> None:
    [shown] = posts_of([guild.says({"content": "?", "components": [BUTTONS, SELECT]})], Names())
    buttons, [select] = shown.rows
    assert [(one.kind, one.label, one.style, one.disabled) for one in buttons] == [
        (Control.BUTTON, "Approve", "success", False),
        (Control.BUTTON, "Reject", "danger", True),
        (Control.LINK, "See", "link", False),
    ]
    assert (select.id, select.label, select.most) == ("pick", "Which?", 2)
    assert [(one.value, one.description) for one in select.choices] == [("1", "the first"), ("2", "")]


def test_a_message_for_one_reader_says_so(guild: Guild) -> None:
    said = guild.says({"content": "psst"})
    said["flags"] |= int(MessageFlag.EPHEMERAL | MessageFlag.LOADING)
    [shown] = posts_of([said], Names())
    assert shown.private
    assert shown.thinking


def test_equal_messages_are_equal_posts(guild: Guild) -> None:
    said = guild.says({"content": "same"})
    assert posts_of([said], Names()) == posts_of([dict(said)], Names())
    assert posts_of([said], Names()) != posts_of([{**said, "content": "other"}], Names())


def test_rooms_stand_in_their_categories_with_their_open_threads(guild: Guild) -> None:
    world = guild.world
    category = Channel(id=world.snowflakes.new(), type=ChannelType.GUILD_CATEGORY, name="Orchard")
    project = Channel(id=world.snowflakes.new(), type=ChannelType.GUILD_TEXT, name="proj-shop")
    project.parent_id = category.id
    threads = []
    for name, archived in (("shop-1", False), ("shop-2", True), ("shop-3", True)):
        details = ThreadDetails(
            owner_id=1,
            created_at=world.now(),
            archive_changed_at=world.now(),
            auto_archive_minutes=60,
            archived=archived,
        )
        one = Channel(id=world.snowflakes.new(), type=ChannelType.PUBLIC_THREAD, name=name, thread=details)
        one.parent_id = project.id
        threads.append(one)
    for one in (category, project, *threads):
        one.guild_id = world.guild.id
        world.guild.channels[one.id] = one
    channels = [guild.ann.shown_channel(one) for one in world.guild.channels.values()]
    first, second = sections_of(channels, {str(threads[2].id)})
    assert [one.name for one in first.rooms] == ["general"]
    assert (second.name, [one.name for one in second.rooms]) == ("Orchard", ["proj-shop", "shop-1", "shop-3"])
    assert [one.unread for one in second.rooms] == [False, False, True]
    assert room_of(channels, "").name == "general"
    assert room_of(channels, "proj-shop").id == str(project.id)
    assert room_of(channels, str(threads[1].id)).parent == str(project.id)
    assert room_of(channels, str(category.id)) is None
    assert room_of(channels, "nowhere") is None


def test_a_form_has_its_fields_however_they_are_wrapped() -> None:
    text = {"type": 4, "custom_id": "why", "style": 2, "required": True, "max_length": 300}
    modal = {
        "components": [
            {"type": 1, "components": [{**text, "label": "Why?"}]},
            {
                "type": 18,
                "label": "Which",
                "description": "one",
                "component": {**SELECT["components"][0], "required": False},
            },
            {"type": 10, "content": "**note**"},
        ]
    }
    why, which, note = fields_of(modal, Names())
    assert (why.id, why.label, why.long, why.required, why.most) == ("why", "Why?", True, True, 300)
    assert (which.label, which.description, which.required, len(which.choices)) == ("Which", "one", False, 2)
    assert "<strong>note</strong>" in note.text


@pytest.mark.parametrize(("name", "is_picture"), [("chart.png", True), ("tally-3.diff", False), ("x", False)])
def test_a_file_is_what_its_name_says_where_the_bot_does_not(name: str, is_picture: bool) -> None:
    """The library that the bot uses sends every file as bytes and no more."""
    guild = Guild()
    sent = Upload(index=0, filename=name, content=b"..", content_type="application/octet-stream")
    [shown] = posts_of([guild.says({"attachments": [{"id": 0}]}, sent)], guild.names())
    assert [one.is_picture for one in shown.files] == [is_picture]


def test_only_words_are_marked_as_edited() -> None:
    guild = Guild()
    said = {**guild.says({"content": "a"}), "edited_timestamp": "2026-05-01T00:00:00+00:00"}
    laid_out = {**said, "content": "", "embeds": [{"title": "b"}]}
    assert [one.edited for one in posts_of([said, laid_out], guild.names())] == [True, False]
