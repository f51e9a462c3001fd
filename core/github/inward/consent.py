"""Whose words a story follows. PURE.

Who opened an issue may edit it for ever, also without any right in the repository; a person with the right
made it a story (by a label, a milestone, an assignment), with the words that stood there. So words that were
changed since wait, where the issue's author may not steer, until somebody who may takes them: by a comment
that names the very version, so that nothing else is taken in its place. GitHub does not say who edited an
issue: that its author has the right is enough where everybody else who can edit it (permission `write`) has
it, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from config.github_settings import Permission
from core.domain.story import Story
from core.github.inward.issue_text import Seen, Words, changed_words, seen_words, words_of

VERSION_CHARACTERS = 32  # hex digits: who writes both texts finds no two of one version


def version_of(words: Words) -> str:
    parts = (words.title, words.body, *words.acceptance_criteria)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:VERSION_CHARACTERS]


def everybody_may(least: Permission) -> bool:
    """`least`: who may steer an agent."""
    return least is Permission.NONE


def may_edit(author: Permission, least: Permission) -> bool:
    """Whether what the author's issue says now was said by people who may steer."""
    return author.reaches(least) and Permission.WRITE.reaches(least)


def changed_since(before: Seen | None, words: Words, story: Story) -> tuple[str, ...]:
    """Which of the words are others than those that were taken in or written last, and than the story's."""
    return tuple(
        name for name in changed_words(before, words) if getattr(words, name) != getattr(story, name)
    )


def waits(before: Seen | None, words: Words, changed: Sequence[str]) -> bool:
    """Of words whose author may not change them."""
    return bool(changed) and (before is None or before.accepted != version_of(words))


def held(now: Seen, before: Seen | None, words: Words, story: Story) -> Seen:
    """What is kept as seen while they wait: the words that were taken in last."""
    kept = before if before is not None else Seen(**seen_words(words_of(story)))  # type: ignore[arg-type]
    return replace(
        now,
        held=version_of(words),
        title=kept.title,
        body=kept.body,
        acceptance_criteria=kept.acceptance_criteria,
    )
