"""The form in which a story is edited, and what of it was changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import discord

from cogs.outgoing import custom_id
from cogs.text import one_line
from cogs.typed import labels, lines
from core.domain.story import Story
from core.errors import InvalidInput

VALUE_LIMIT = 4000  # of a text field, by Discord
_ESTIMATE_MOST = 1000


class StoryForm(discord.ui.Modal):
    """Prefilled. A text that is too long for a field is left out of the form, and stays as it is."""

    def __init__(self, story: Story) -> None:
        target = f"{story.id}:{version(story)}"
        super().__init__(title=f"Edit {story.id}"[:45], timeout=None, custom_id=custom_id("edit", target))
        for key, value in fields(story).items():
            label, hint, long, most = _FIELDS[key]
            if len(value) > most:
                continue
            text: discord.ui.TextInput[StoryForm] = discord.ui.TextInput(
                custom_id=key,
                style=discord.TextStyle.paragraph if long else discord.TextStyle.short,
                default=value or None,
                placeholder=hint,
                required=key == "title",
                max_length=most,
            )
            self.add_item(discord.ui.Label(text=label, component=text))
        self.stop()  # the sent form is known by its custom id, also after a restart


_FIELDS: Mapping[str, tuple[str, str, bool, int]] = {
    "title": ("Title", "One line: what is to be done", False, 200),
    "body": ("Text", "More about it", True, VALUE_LIMIT),
    "acceptance_criteria": ("Acceptance criteria", "One a line", True, VALUE_LIMIT),
    "estimate": ("Estimate", "Story points; empty: none", False, 4),
    "labels": ("Labels", "Several by ,", False, VALUE_LIMIT),
}


def fields(story: Story) -> dict[str, str]:
    """A story as the form's texts. PURE."""
    return {
        "title": story.title,
        "body": story.body,
        "acceptance_criteria": "\n".join(one_line(text, VALUE_LIMIT) for text in story.acceptance_criteria),
        "estimate": "" if story.estimate is None else str(story.estimate),
        "labels": ", ".join(story.labels),
    }


def version(story: Story) -> str:
    """Eight characters that differ when somebody has changed what the form shows. PURE."""
    shown = "\0".join(fields(story).values())
    return hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()[:8]


def changes(story: Story, sent: Mapping[str, str]) -> dict[str, Any]:
    """What the sent form changes, as `edit_story` takes it. Raises InvalidInput. PURE."""
    before = fields(story)
    different = {
        key: text for key, text in sent.items() if key in before and _same(text) != _same(before[key])
    }
    made: dict[str, Any] = {}
    for key, text in different.items():
        match key:
            case "estimate":
                made |= _estimate(text)
            case "acceptance_criteria":
                made[key] = lines(text)
            case "labels":
                made[key] = labels(text)
            case _:
                made[key] = text
    return made


def _estimate(text: str) -> dict[str, Any]:
    word = text.strip()
    if not word:
        return {"clear_estimate": True}
    if not (word.isascii() and word.isdigit() and int(word) <= _ESTIMATE_MOST):
        raise InvalidInput(
            f"'{word}' is no estimate.", hint=f"Give a whole number from 0 to {_ESTIMATE_MOST}, or nothing."
        )
    return {"estimate": int(word)}


def _same(text: str) -> str:
    """Discord trims what is sent and may change line ends."""
    return text.replace("\r\n", "\n").strip()
