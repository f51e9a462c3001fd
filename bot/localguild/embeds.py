"""Embeds: what a message may carry, and how Discord hands it back. Pure.

Limits: https://docs.discord.com/developers/resources/message#embed-limits
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from bot.localguild.forms import Reader
from bot.localguild.model import Json

MAX_EMBEDS = 10
MAX_CHARACTERS = 6000  # over all embeds of a message
_PICTURES = ("image", "thumbnail", "video")
_SCHEMES = ("http://", "https://", "attachment://")


def read_embeds(form: Reader, attachment_urls: Mapping[str, str]) -> list[Json]:
    """The embeds of a message body, as a message shows them; faults go to the form's problems.

    `attachment_urls` (file name to URL) resolves `attachment://name`.
    """
    embeds, characters = [], 0
    for one in form.objects("embeds", maximum=MAX_EMBEDS):
        embed, length = _read_embed(one, attachment_urls)
        embeds.append(embed)
        characters += length
    if characters > MAX_CHARACTERS:
        message = f"Embed size exceeds maximum size of {MAX_CHARACTERS}"
        form.fail(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", message)
    return embeds


def _read_embed(one: Reader, attachment_urls: Mapping[str, str]) -> tuple[Json, int]:
    embed: Json = {"type": "rich"}
    characters = 0
    for key, maximum in (("title", 256), ("description", 4096)):
        text = one.text(key, maximum=maximum).strip()
        if text:
            embed[key] = text
            characters += len(text)
    if one.given("url"):
        embed["url"] = _url(one, "url", {})
    if one.given("color"):
        embed["color"] = one.integer("color", minimum=0, maximum=0xFFFFFF)
    if one.given("timestamp"):
        embed["timestamp"] = _timestamp(one)
    for key, text_key, maximum in (("footer", "text", 2048), ("author", "name", 256)):
        part = one.object(key)
        if part is not None:
            embed[key] = _captioned(part, text_key, maximum, attachment_urls)
            characters += len(embed[key][text_key])
    for key in _PICTURES:
        picture = one.object(key)
        if picture is not None:
            embed[key] = {"url": _url(picture, "url", attachment_urls, required=True)}
    fields = [_field(each) for each in one.objects("fields", maximum=25)]
    if fields:
        embed["fields"] = fields
        characters += sum(len(each["name"]) + len(each["value"]) for each in fields)
    if len(embed) == 1:
        one.fail(("description",), "BASE_TYPE_REQUIRED", "This field is required")
    return embed, characters


def _captioned(part: Reader, text_key: str, maximum: int, attachment_urls: Mapping[str, str]) -> Json:
    shown: Json = {text_key: part.text(text_key, maximum=maximum, required=True)}
    for key in ("url", "icon_url"):
        if part.given(key):
            shown[key] = _url(part, key, attachment_urls)
    return shown


def _field(each: Reader) -> Json:
    shown = {
        "name": each.text("name", maximum=256, required=True),
        "value": each.text("value", maximum=1024, required=True),
    }
    for key, text in shown.items():
        if each.given(key) and not text.strip():
            each.fail((key,), "BASE_TYPE_REQUIRED", "This field is required")
    return {**shown, "inline": each.boolean("inline")}


def _url(one: Reader, key: str, attachment_urls: Mapping[str, str], *, required: bool = False) -> str:
    url = one.text(key, maximum=2048, required=required)
    if url and not url.startswith(_SCHEMES):
        one.fail((key,), "URL_TYPE_INVALID_URL", "Not a well formed URL.")
    return attachment_urls.get(url.removeprefix("attachment://"), url)


def _timestamp(one: Reader) -> str:
    text = one.text("timestamp")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        one.fail(("timestamp",), "DATE_TIME_TYPE_PARSE", f"Could not parse {text}. Should be ISO8601.")
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
