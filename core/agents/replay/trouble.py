"""Troubles of honest agents: a usage limit, and silence."""

from __future__ import annotations

import os
import re
import threading
import time
from typing import Any

from .player import Ended, Failed, Player, step
from .script import Step


@step
def limit(player: Player, each: Step) -> None:
    value: dict[str, Any] = each.value if isinstance(each.value, dict) else {"text": each.value}
    hits = _hits(player)
    if hits >= value.get("times", hits + 1):
        return
    _count(player, hits + 1)
    text = value["text"]
    if "seconds" in value:
        text = f"{text}|{int(time.time() + value['seconds'])}"
    if value.get("error"):
        raise Failed(-32603, f"[replay] {text}")
    player.say(text)
    raise Ended("end_turn")


@step
def silent(player: Player, each: Step) -> None:
    value: dict[str, Any] = each.value if isinstance(each.value, dict) else {"seconds": each.value}
    over = time.monotonic() + value["seconds"]
    deaf = bool(value.get("deaf")) or "cancel" in player.behaviour.ignored
    if not value.get("busy"):
        (threading.Event() if deaf else player.cancelled).wait(value["seconds"])
    while value.get("busy") and time.monotonic() < over:
        sum(range(10_000))
        if player.cancelled.is_set() and not deaf:
            break
    player.check_cancelled()


# How often a story's phase ran into its limit outlives the program, in its HOME.


def _hits(player: Player) -> int:
    try:
        with open(_file(player), encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _count(player: Player, hits: int) -> None:
    path = _file(player)
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(str(hits))


def _file(player: Player) -> str:
    name = re.sub(r"[^\w-]", "_", f"{player.header.get('Story', '')}-{player.header.get('Phase', '')}")
    return os.path.join(os.path.expanduser("~"), ".orchard-replay", f"limits-{name}")  # noqa: PTH111, PTH118
