"""Whom a post calls: who subscribed, who is configured, who may answer; and who is left alone now. PURE."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import discord

# Forty of each and the words that follow stay below Discord's 2,000 characters.
PEOPLE_AT_ONCE = 40
ROLES_AT_ONCE = 40
_USER_MENTION = re.compile(r"<@!?(\d{1,20})>")
_MENTION = re.compile(r"<@(?P<role>&?)!?(?P<id>\d{1,20})>")
_ID = re.compile(r"\d{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Discord ids, each once, in the order in which they are named."""

    people: tuple[int, ...] = ()
    roles: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`later`: people who are not named in the post, to be told by themselves."""

    text: str
    people: tuple[int, ...]
    roles: tuple[int, ...]
    later: tuple[int, ...]

    def allowed(self) -> discord.AllowedMentions:
        return only(self.people, self.roles)


@dataclass(frozen=True, slots=True)
class _Named:
    id: str  # discord.py would send a number, which Discord's description forbids here


def only(people: Iterable[int] = (), roles: Iterable[int] = ()) -> discord.AllowedMentions:
    """Calls exactly those: no outside text can call anybody else."""
    return discord.AllowedMentions(
        everyone=False,
        users=cast(Any, [_Named(str(person)) for person in people]),
        roles=cast(Any, [_Named(str(role)) for role in roles]),
        replied_user=False,
    )


def audience(
    subscribers: Iterable[str],
    mentions: Iterable[str],
    *,
    people: Iterable[str] = (),
    roles: Iterable[str] = (),
    role_ids: Mapping[str, int],
) -> Audience:
    """`subscribers` are actors, `mentions` Discord mentions from the settings; `people` and `roles` are those
    whom a question asks: user ids, role ids or names. Names that the server has not are left out."""
    called_people: list[int] = []
    called_roles: list[int] = []
    for mention in mentions:
        if match := _MENTION.fullmatch(mention):
            (called_roles if match["role"] else called_people).append(int(match["id"]))
    called_people += [int(person) for person in people if _ID.fullmatch(person)]
    for role in roles:
        if _ID.fullmatch(role):
            called_roles.append(int(role))
        elif role in role_ids:
            called_roles.append(role_ids[role])
    for actor in subscribers:
        kind, _, name = actor.partition(":")
        if kind == "discord" and _ID.fullmatch(name):
            called_people.append(int(name))
    return Audience(people=tuple(dict.fromkeys(called_people)), roles=tuple(dict.fromkeys(called_roles)))


def plan_call(wanted: Audience, quiet: Collection[int]) -> Call:
    """`quiet`: who is to be left alone now. Those for whom there is no room in one message are
    told in one of their own, which is said."""
    awake = [person for person in wanted.people if person not in quiet]
    named, crowd = awake[:PEOPLE_AT_ONCE], awake[PEOPLE_AT_ONCE:]
    roles = wanted.roles[:ROLES_AT_ONCE]
    words = [f"<@&{role}>" for role in roles] + [f"<@{person}>" for person in named]
    if crowd:
        words.append(f"and {len(crowd)} more, who are told by themselves")
    return Call(
        text=" ".join(words),
        people=tuple(named),
        roles=roles,
        later=(*crowd, *(person for person in wanted.people if person in quiet)),
    )


def called_in(content: str) -> frozenset[int]:
    """The people whom a posted message named."""
    return frozenset(int(found) for found in _USER_MENTION.findall(content))
