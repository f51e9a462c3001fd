"""Message bodies: reading what a bot or a person wants to post or change, against Discord's limits. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.localguild.components import read_message_components
from bot.localguild.embeds import read_embeds
from bot.localguild.errors import refusal
from bot.localguild.forms import Reader
from bot.localguild.model import Attachment, Json, MessageFlag

MAX_CONTENT = 2000
MAX_ATTACHMENTS = 10
_SETTABLE_FLAGS = (
    MessageFlag.SUPPRESS_EMBEDS
    | MessageFlag.EPHEMERAL
    | MessageFlag.SUPPRESS_NOTIFICATIONS
    | MessageFlag.COMPONENTS_V2
)
_USER, _ROLE = re.compile(r"<@!?(\d+)>"), re.compile(r"<@&(\d+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file part of a multipart body; `index` is the n of `files[n]`."""

    index: int
    filename: str
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedMentions:
    """Who may be pinged; None means everyone that the text names."""

    users: frozenset[int] | None = None
    roles: frozenset[int] | None = None
    everyone: bool = True
    replied_user: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAttachment:
    """An attachment that an edit keeps, or one of the uploads described."""

    id: int
    filename: str | None = None
    description: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a body asks for. In an edit only the fields in `given` change."""

    content: str = ""
    embeds: Sequence[Json] = ()
    components: Sequence[Json] = ()
    flags: MessageFlag = MessageFlag.NONE
    tts: bool = False
    nonce: str | None = None
    enforce_nonce: bool = False
    reference: Json | None = None
    mentions: AllowedMentions = field(default_factory=AllowedMentions)
    attachments: Sequence[KeptAttachment] | None = None
    uploads: Sequence[Upload] = ()
    given: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        return not (self.content.strip() or self.embeds or self.components or self.uploads)


def read_draft(
    body: Any,
    uploads: Sequence[Upload],
    *,
    form: Reader | None = None,
    existing: Sequence[Attachment] = (),
    existing_flags: MessageFlag = MessageFlag.NONE,
) -> Draft:
    """Read a message body. Raises ApiError 50035 with every fault; emptiness is the caller's to judge.

    `existing` are the attachments of the message being edited, or of none.
    """
    own_form = form is None
    form = form or Reader(body)
    flags = (MessageFlag(form.integer("flags", minimum=0)) & _SETTABLE_FLAGS) | (
        existing_flags & MessageFlag.COMPONENTS_V2
    )
    attachments = _read_attachments(form, uploads)
    urls = _attachment_urls(uploads, existing)
    version_2 = MessageFlag.COMPONENTS_V2 in flags
    draft = Draft(
        content=form.text("content", maximum=MAX_CONTENT),
        embeds=read_embeds(form, urls),
        components=read_message_components(form, version_2=version_2),
        flags=flags,
        tts=form.boolean("tts"),
        nonce=form.text("nonce", maximum=25) or None,
        enforce_nonce=form.boolean("enforce_nonce"),
        reference=_read_reference(form),
        mentions=_read_mentions(form),
        attachments=attachments,
        uploads=tuple(uploads),
        given=frozenset(form.body),
    )
    if version_2:
        for key in ("content", "embeds", "poll", "sticker_ids"):
            if form.body.get(key):
                message = f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
                form.fail((key,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", message)
    if own_form:
        form.problems.raise_if_any()
    return draft


def refuse_empty(draft: Draft) -> None:
    if draft.is_empty:
        raise refusal(50006)


def _attachment_urls(uploads: Sequence[Upload], existing: Sequence[Attachment]) -> Mapping[str, str]:
    # An upload has no URL before it is stored: it keeps its `attachment://` form until then.
    return {one.filename: one.url for one in existing} | {
        one.filename: f"attachment://{one.filename}" for one in uploads
    }


def _read_attachments(form: Reader, uploads: Sequence[Upload]) -> Sequence[KeptAttachment] | None:
    if len(uploads) > MAX_ATTACHMENTS:
        form.fail(("attachments",), "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_ATTACHMENTS} or fewer in length.")
    if not form.has("attachments"):
        return None
    found = []
    for one in form.objects("attachments", maximum=MAX_ATTACHMENTS):
        snowflake = one.snowflake("id", required=True)
        if snowflake is None:
            continue
        found.append(
            KeptAttachment(
                id=snowflake,
                filename=one.text("filename", maximum=1024) or None,
                description=one.text("description", maximum=1024) or None,
                title=one.text("title", maximum=1024) or None,
            )
        )
    return tuple(found)


def _read_reference(form: Reader) -> Json | None:
    reference = form.object("message_reference")
    if reference is None:
        return None
    message_id = reference.snowflake("message_id", required=True)
    return {
        "type": reference.choice("type", (0, 1)),
        "message_id": message_id,
        "channel_id": reference.snowflake("channel_id"),
        "fail_if_not_exists": reference.boolean("fail_if_not_exists", default=True),
    }


def _read_mentions(form: Reader) -> AllowedMentions:
    allowed = form.object("allowed_mentions")
    if allowed is None:
        return AllowedMentions()
    parse = allowed.items("parse", maximum=3)
    for index, kind in enumerate(parse):
        if kind not in ("users", "roles", "everyone"):
            message = "Value must be one of ('roles', 'users', 'everyone')."
            allowed.fail(("parse", index), "BASE_TYPE_CHOICES", message)
    users, roles = allowed.snowflakes("users"), allowed.snowflakes("roles")
    for kind, ids in (("users", users), ("roles", roles)):
        if kind in parse and ids:
            message = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            allowed.fail((), "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
    return AllowedMentions(
        users=None if "users" in parse else frozenset(users),
        roles=None if "roles" in parse else frozenset(roles),
        everyone="everyone" in parse,
        replied_user=allowed.boolean("replied_user"),
    )


def named_users(content: str, allowed: AllowedMentions) -> list[int]:
    """Ids of the users whom the text mentions and may mention, each once, in order."""
    ids = dict.fromkeys(int(each) for each in _USER.findall(content))
    return [each for each in ids if allowed.users is None or each in allowed.users]


def named_roles(content: str, allowed: AllowedMentions) -> list[int]:
    ids = dict.fromkeys(int(each) for each in _ROLE.findall(content))
    return [each for each in ids if allowed.roles is None or each in allowed.roles]


def names_everyone(content: str, allowed: AllowedMentions) -> bool:
    return allowed.everyone and ("@everyone" in content or "@here" in content)
