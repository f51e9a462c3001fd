"""An unmodified discord.py bot that uses what Orchard's bot will use, for tests of the server."""

from __future__ import annotations

import asyncio
from typing import Literal

import discord
from discord import app_commands


class Decision(discord.ui.View):
    """Survives a restart: no time-out, fixed ids."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Approve", custom_id="decision:yes", style=discord.ButtonStyle.success)
    async def approve(self, interaction: discord.Interaction, _: discord.ui.Button[Decision]) -> None:
        await interaction.response.edit_message(content=f"approved by {interaction.user.name}", view=None)

    @discord.ui.button(label="Reject", custom_id="decision:no", style=discord.ButtonStyle.danger)
    async def reject(self, interaction: discord.Interaction, _: discord.ui.Button[Decision]) -> None:
        await interaction.response.send_modal(Reason())

    @discord.ui.select(
        custom_id="decision:who",
        placeholder="Who reviews?",
        max_values=2,
        options=[discord.SelectOption(label=one.title(), value=one) for one in ("ann", "ben", "cy")],
    )
    async def who(self, interaction: discord.Interaction, select: discord.ui.Select[Decision]) -> None:
        await interaction.response.defer()
        await interaction.followup.send(f"reviewers: {', '.join(select.values)}", ephemeral=True)


class Reason(discord.ui.Modal, title="Why not?"):
    reason: discord.ui.TextInput[Reason] = discord.ui.TextInput(
        label="Reason", custom_id="reason", style=discord.TextStyle.paragraph, min_length=3, max_length=200
    )

    def __init__(self) -> None:
        super().__init__(custom_id="reason-modal")

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.edit_message(content=f"rejected: {self.reason.value}", view=None)


class SampleBot(discord.Client):
    def __init__(self, guild_id: int) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True),
            max_ratelimit_timeout=30,
            guild_ready_timeout=0.05,  # one guild: nothing to wait for (discord.py: 2 s)
        )
        self.home = discord.Object(guild_id)
        self.tree = app_commands.CommandTree(self)
        self.seen: list[discord.Message] = []
        self.resumed = asyncio.Event()
        self.command_errors: list[BaseException] = []
        for command in (ping, ask, slowly, silent, measure, attach):
            self.tree.add_command(command, guild=self.home)
        self.tree.add_command(Sprint(), guild=self.home)
        self.tree.error(self.on_command_error)

    async def setup_hook(self) -> None:
        await self.tree.sync(guild=self.home)
        self.add_view(Decision())

    async def on_message(self, message: discord.Message) -> None:
        self.seen.append(message)
        if message.author != self.user and self.user in message.mentions:
            await message.reply(f"you said: {message.content.split('>', 1)[1].strip()}")

    async def on_resumed(self) -> None:
        self.resumed.set()

    async def on_command_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError
    ) -> None:
        self.command_errors.append(error)


@app_commands.command(description="Answers")
@app_commands.describe(word="What to say back")
async def ping(interaction: discord.Interaction, word: str = "pong") -> None:
    await interaction.response.send_message(word)


@app_commands.command(description="Asks for a decision")
async def ask(interaction: discord.Interaction) -> None:
    embed = discord.Embed(title="Merge shop-3?", description="All gates passed", color=0x2ECC71)
    embed.add_field(name="Story", value="Sum of a basket")
    embed.set_footer(text="asked by Orchard")
    await interaction.response.send_message("A decision is needed", embed=embed, view=Decision())


@app_commands.command(description="Thinks first")
@app_commands.describe(hidden="Only you see it")
async def slowly(interaction: discord.Interaction, hidden: bool = False) -> None:
    await interaction.response.defer(thinking=True, ephemeral=hidden)
    await interaction.edit_original_response(content="thought about it")
    await interaction.followup.send("and once more", ephemeral=hidden)


@app_commands.command(description="Says nothing")
async def silent(interaction: discord.Interaction) -> None:
    pass


@app_commands.command(description="All kinds of options")
@app_commands.describe(
    count="How many",
    share="Part of all",
    unit="In what",
    whom="For whom",
    where="Which channel",
    role="Of whom",
)
async def measure(
    interaction: discord.Interaction,
    count: app_commands.Range[int, 1, 10],
    unit: Literal["files", "tests"],
    share: float = 0.5,
    whom: discord.Member | None = None,
    where: discord.TextChannel | None = None,
    role: discord.Role | None = None,
) -> None:
    named = [one.name for one in (whom, where, role) if one is not None]
    await interaction.response.send_message(f"{count} {unit} {share} {' '.join(named)}".strip())


@app_commands.command(description="Takes a file")
@app_commands.describe(file="The file")
async def attach(interaction: discord.Interaction, file: discord.Attachment) -> None:
    content = (await file.read()).decode()
    await interaction.response.send_message(f"{file.filename}: {content}", ephemeral=True)


class Sprint(app_commands.Group, name="sprint", description="Sprints"):
    @app_commands.command(description="Plans")
    @app_commands.describe(story="Which story")
    async def plan(self, interaction: discord.Interaction, story: str) -> None:
        await interaction.response.send_message(f"planned {story}")

    @plan.autocomplete("story")
    async def _stories(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        names = [f"shop-{number}" for number in range(1, 12)]
        return [app_commands.Choice(name=one, value=one) for one in names if one.startswith(current)]
