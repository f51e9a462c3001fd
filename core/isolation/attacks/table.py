"""PURE: the attacks and what each level makes of them, as a table of the manual."""

from __future__ import annotations

from collections.abc import Iterable

from core.isolation.attacks.catalogue import LEVELS, Attack

_HEAD = ("", "attack", *(f"`{level}`" for level in LEVELS))


def attack_table(attacks: Iterable[Attack]) -> str:
    """In Markdown, a row an attack; a topic is named once."""
    lines = [f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
    topic = ""
    for attack in attacks:
        named = attack.topic if attack.topic != topic else ""
        topic = attack.topic
        outcomes = " | ".join(attack.outcomes)
        lines.append(f"| {named} | {attack.what} | {outcomes} |")
    return "\n".join(lines) + "\n"
