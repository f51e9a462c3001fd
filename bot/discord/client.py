"""The bot: unprivileged intents, mentions as prefix, commands in one server only, buttons by their id."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

import discord
from discord.ext import commands

from cogs.access import ANY_PROJECT, control
from cogs.agents import Agents
from cogs.alerts import Alerts
from cogs.backlog import Backlog
from cogs.budget import Budget
from cogs.charts import Charts
from cogs.desk import Desk, project_in
from cogs.epics import Epics
from cogs.errors import Errors, whisper_error
from cogs.github import Github
from cogs.insights import Insights
from cogs.linking import Linking
from cogs.notifications import Notifications
from cogs.outgoing import CUSTOM_ID, OrchardControl
from cogs.projects import Projects
from cogs.rescue import Rescue
from cogs.resources import Resources
from cogs.session import Session
from cogs.sprint import Sprint
from cogs.state import State
from cogs.status import Status
from cogs.story import Story
from cogs.tdd import Tdd
from core.errors import NotFound, OrchardError, Unavailable
from core.security.access import EVERY_PROJECT

_log = logging.getLogger(__name__)

ANSWER_SECONDS = 2.5  # what has no answer by then gets ours: Discord gives up after 3

COGS: tuple[Callable[[Desk], commands.Cog], ...] = (
    Status,
    Projects,
    Epics,
    Backlog,
    Sprint,
    State,
    Tdd,
    Story,
    Rescue,
    Resources,
    Budget,
    Charts,
    Session,
    Agents,
    Github,
    Insights,
    Alerts,
    Notifications,
    Linking,
)
Press = Callable[[discord.Interaction[Any], str], Awaitable[None]]
Submit = Callable[[discord.Interaction[Any], str, str], Awaitable[None]]
Fill = Callable[[discord.Interaction[Any], str, Mapping[str, str]], Awaitable[None]]
BeforeIdentify = Callable[[], Awaitable[None]]


class Forms(Protocol):
    """What buttons and forms mean: by verb; a form's handler gets its one text, or `fills` all of them."""

    presses: Mapping[str, Press]
    submits: Mapping[str, Submit]
    fills: Mapping[str, Fill]


class Unanswered(Exception):
    """A command ended, or hangs, without a word to the person who asked."""


class OrchardBot(commands.Bot):
    """One connection's life; the supervisor makes a new one for the next."""

    def __init__(
        self,
        desk: Desk,
        forms: Forms,
        *,
        guild_id: int | None,
        before_identify: BeforeIdentify,
        on_home: Callable[[discord.Guild], None] = lambda _guild: None,
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True, guild_messages=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_ratelimit_timeout=30.0,  # else a third rename in ten minutes waits for ten minutes
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            guild_ready_timeout=0.5,
        )
        self.desk = desk
        self._forms = forms
        self._guild_id = guild_id
        self._before_identify = before_identify
        self._on_home = on_home
        self._synced_to: int | None = None
        self._watches: set[asyncio.Task[None]] = set()
        self.drops: list[float] = []  # loop times of lost connections, for the supervisor

    async def setup_hook(self) -> None:
        desk = self.desk
        self.add_check(desk.check)
        self.add_dynamic_items(OrchardControl)
        await self.add_cog(Errors(self, desk))
        for cog in COGS:
            await self.add_cog(cog(desk))

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:  # "wait a random amount of time between 1 and 5 seconds", says Discord
            await asyncio.sleep(random.uniform(1, 5))  # noqa: S311
        await self._before_identify()

    def home(self) -> discord.Guild:
        """The server that is served. Raises Unavailable, saying what is missing."""
        if self._guild_id is not None:
            guild = self.get_guild(self._guild_id)
            if guild is None:
                raise Unavailable(
                    f"The bot is not in the Discord server {self._guild_id}.",
                    why="`global_discord_guild` names it.",
                    hint="Invite the bot there, or correct the id.",
                )
            return guild
        if len(self.guilds) == 1:
            return self.guilds[0]
        if not self.guilds:
            raise Unavailable("The bot is in no Discord server.", hint="Invite it to yours.")
        raise Unavailable(
            f"The bot is in {len(self.guilds)} Discord servers.",
            hint="Say which one it serves: `global_discord_guild` in orch-config.yaml.",
        )

    # -- events of the connection ------------------------------------------------------------

    async def on_ready(self) -> None:
        await self._settle_in()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await self._settle_in()

    async def on_guild_available(self, guild: discord.Guild) -> None:
        await self._settle_in()

    async def on_disconnect(self) -> None:
        self.drops.append(asyncio.get_running_loop().time())

    async def _settle_in(self) -> None:
        try:
            guild = self.home()
        except OrchardError as error:
            _log.warning("%s", error)
            return
        self._on_home(guild)
        if self._synced_to == guild.id:
            return
        self._synced_to = guild.id
        if unknown := self.desk.policy.unknown(
            {name for role in guild.roles for name in (role.name, str(role.id))}
        ):
            _log.warning(
                "the server %s has no role %s: nobody gets a right by it. Correct `global.discord.roles` and "
                "`role_levels`",
                guild.name,
                ", ".join(unknown),
            )
        self.tree.copy_global_to(guild=guild)
        try:
            # Only to the one server: synced globally as well, every command would show twice.
            await self.tree.sync(guild=guild)
        except (discord.HTTPException, discord.app_commands.AppCommandError) as error:
            self._synced_to = None
            _log.error(
                "Discord did not take the commands for the server %s (%s): was the bot invited with the "
                "scope applications.commands?",
                guild.id,
                error,
            )

    # -- interactions ------------------------------------------------------------------------

    async def press(self, interaction: discord.Interaction[Any], verb: str, target: str) -> None:
        """A button was pressed. Whatever happens, the person hears of it."""
        try:
            press = self._forms.presses.get(verb)
            if press is None:
                raise NotFound("This button is of another version.", hint="Type / for the commands.")
            await self._admit(interaction, verb, target)
            await press(interaction, target)
        except Exception as error:
            await whisper_error(interaction, error, f"button {verb}")

    async def _admit(self, interaction: discord.Interaction[Any], verb: str, target: str) -> None:
        who, guild, guild_id = interaction.user, interaction.guild, interaction.guild_id
        await self.desk.admit(who, guild, guild_id, control(verb), {meant(verb, target)})

    async def submit(self, interaction: discord.Interaction[Any], verb: str, target: str) -> None:
        """A form was sent. Its id says what it was, so it may be sent after a restart too."""
        try:
            submit, fill = self._forms.submits.get(verb), self._forms.fills.get(verb)
            if submit is None and fill is None:
                raise NotFound("This form is of another version.", hint="Type / for the commands.")
            await self._admit(interaction, verb, target)
            texts = form_texts(interaction.data)
            if fill is not None:
                await fill(interaction, target, texts)
            elif submit is not None:
                await submit(interaction, target, next(iter(texts.values()), ""))
        except Exception as error:
            await whisper_error(interaction, error, f"form {verb}")

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """After discord.py has dispatched it: what nobody else answers is answered here."""
        kind = interaction.type
        if kind in (discord.InteractionType.application_command, discord.InteractionType.autocomplete):
            self._watch(interaction)
            return
        custom_id = str(cast(Mapping[str, Any], interaction.data or {}).get("custom_id", ""))
        match = CUSTOM_ID.fullmatch(custom_id)
        verb, target = (match["verb"], match["target"]) if match else ("", custom_id)
        if kind is discord.InteractionType.modal_submit:
            await self.submit(interaction, verb, target)
        elif kind is discord.InteractionType.component and not (match and _shows(interaction, custom_id)):
            # Not ours, or gone from the message while it was pressed: discord.py drops both silently.
            await self.press(interaction, verb, target)

    def _watch(self, interaction: discord.Interaction[Any]) -> None:
        task = asyncio.create_task(self._answer_for(interaction), name=f"watch {interaction.id}")
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def _answer_for(self, interaction: discord.Interaction[Any]) -> None:
        await asyncio.sleep(ANSWER_SECONDS)
        if interaction.response.is_done():
            return
        try:
            if interaction.type is discord.InteractionType.autocomplete:
                await interaction.response.autocomplete([])
            else:
                await whisper_error(interaction, Unanswered(interaction.id), "a command")
        except (discord.HTTPException, discord.InteractionResponded):
            _log.debug("answered meanwhile", exc_info=True)

    def dispatch(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:
        if not self.is_closed():  # a command may end after its connection: discord.py has no loop then
            super().dispatch(event_name, *args, **kwargs)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        _log.exception("while handling %s", event_method)

    async def close(self) -> None:
        for task in self._watches:
            task.cancel()
        await super().close()


def meant(verb: str, target: str) -> str:
    """The project that a button or form is about (see `cogs.buttons`); ANY_PROJECT where the target does not
    say it: then the core's request does. PURE."""
    if verb in _OF_PROJECTS:
        return target or ANY_PROJECT
    name = target
    if verb == "state":
        return target.partition(":")[2] or ANY_PROJECT
    if verb in ("raise", "raise_by"):
        name = target.rpartition(":")[2]
        if not target.startswith("s:"):
            return name or ANY_PROJECT
    found = project_in(name.partition(":")[0])
    return ANY_PROJECT if found == EVERY_PROJECT else found


_OF_PROJECTS = frozenset({"resume", "feedback", "request_changes", "archive"})


def form_texts(data: Any) -> dict[str, str]:
    """The texts of a sent form by their fields, in labels or (older) in action rows, in order. PURE."""
    found: dict[str, str] = {}
    todo = _components(data)
    while todo:
        component = todo.pop(0)
        if component.get("type") == discord.ComponentType.text_input.value:
            found[str(component.get("custom_id"))] = str(component.get("value") or "")
        todo += _components(component)
    return found


def _components(holder: Any) -> list[Mapping[str, Any]]:
    if not isinstance(holder, Mapping):
        return []
    listed = holder.get("components")
    several = listed if isinstance(listed, list | tuple) else ()
    return [each for each in (*several, holder.get("component")) if isinstance(each, Mapping)]


def _shows(interaction: discord.Interaction[Any], custom_id: str) -> bool:
    """Whether the message still has the component, as discord.py looks it up."""
    if interaction.message is None:
        return False
    shown = discord.ui.View.from_message(interaction.message, timeout=None)
    return any(getattr(item, "custom_id", None) == custom_id for item in shown.walk_children())
