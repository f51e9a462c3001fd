"""The whole of Orchard in the local guild, with real git projects, and people who use it from Discord alone.

Projects are tested by a shell script, so that what takes time here is Orchard. What people see is in the
guild, what was made is in git; nothing is asked of Orchard's insides.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.app import App, loader, open_app
from bot.localguild import Answer, LocalGuild, Person, PostedMessage, SeenChannel
from bot.localguild.people import InProcess, Where
from tests.discord.patience import patient_bot, patient_guild
from tests.integration.nursery import forked_templates
from tests.waiting import until

SECONDS = 90.0  # for anything to happen: two busy cores are slow
PNG = b"\x89PNG\r\n\x1a\n"
REFUSED = "⚠️"
RUNNER = (
    "code=0\n"
    "{ echo '<testsuite>'; for file in tests/*.sh; do sh $file 2>/dev/null &&"
    " echo \"<testcase classname='tests' name='$file'/>\" || {"
    " echo \"<testcase classname='tests' name='$file'><failure message='no'/></testcase>\"; code=1; };"
    ' done; echo "</testsuite>"; } > "$1"\nexit $code\n'
)
BASE = {"run-tests.sh": RUNNER, "tests/base.sh": "exit 0\n", "base.txt": "base\n"}

Script = dict[str, Any]
HANG: list[Any] = [{"write": {"path": "half.txt", "text": "half\n"}}, {"hang": {"ignore": []}}]
MANY = {"resource_limits": {"max_parallel_agents": 4, "max_parallel_cycles": 4}}


def honest(name: str, text: str = "", **phases: list[Any]) -> Script:
    """What an honest agent does: a test for NAME.txt, then that file. `phases` replace its own."""
    return {
        "design": [{"spec": f"# {name}\n\n## Acceptance criteria\n\n- {name}.txt says {name}\n"}],
        "test_red": [{"write": {"path": f"tests/{name}.sh", "text": f"grep -q {name} {name}.txt\n"}}],
        "code_green": [{"write": {"path": f"{name}.txt", "text": f"{name}\n{text}"}}],
        "refactor": [{"say": "Nothing to say better."}],
        **phases,
    }


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_project(folder: Path, files: Mapping[str, str], settings: Mapping[str, Any]) -> Path:
    """A repository with one commit, and a file of its own that says how it is tested and what is asked."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Dev")
    git(folder, "config", "user.email", "dev@example.org")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "First commit")
    own = {"test_command": "sh run-tests.sh {junit}", **settings}
    (folder / ".orch-state").mkdir()
    (folder / ".orch-state" / "config.yaml").write_text(yaml.safe_dump(own))
    return folder


@dataclass
class User:
    """A person at work in one project's channel, who expects an answer to everything."""

    person: Person
    project: str

    @property
    def place(self) -> str:
        return f"proj-{self.project}"

    async def types(self, command: str, *, where: Where = None, **options: Any) -> PostedMessage:
        """What the command answers. It must be no refusal."""
        answer = await self._typed(command, where, options)
        assert not answer.text.startswith(REFUSED), f"/{command} {options} was refused: {answer.text}"
        return shown(answer)

    async def is_refused(self, command: str, *, where: Where = None, **options: Any) -> str:
        """The words of the refusal, which nobody else sees."""
        answer = await self._typed(command, where, options)
        assert answer.text.startswith(REFUSED), f"/{command} {options} was not refused: {answer.text}"
        assert all(message.ephemeral for message in said(answer)), answer.text
        return plain(answer.text)

    async def _typed(self, command: str, where: Where, options: Mapping[str, Any]) -> Answer:
        answer = await self.person.slash(command, options, channel=where or self.place, timeout=SECONDS)
        return await self._settled(answer, f"/{command}")

    async def presses(self, message: PostedMessage, button: str) -> Answer:
        return await self._settled(await self.person.press(message, button, timeout=SECONDS), button)

    async def changes(self, message: PostedMessage, button: str, *words: str) -> PostedMessage:
        """Presses a button whose answer is the message itself, once it says these words."""
        await self.presses(message, button)
        return await self.again(message, *words)

    async def fills_in(self, form: Answer, **fields: str) -> Answer:
        assert form.modal is not None, form.text
        return await self._settled(await self.person.submit(form, fields, timeout=SECONDS), str(fields))

    async def _settled(self, answer: Answer, what: str) -> Answer:
        """The answer once it says something: a refusal after a deferral takes the placeholder's place."""

        async def look() -> Answer | None:
            now = await self.person.look_again(answer)
            return now if now.modal or now.text else None

        found: Answer = await until(look, f"an answer in words to {what}")
        return found

    async def sees(
        self, *words: str, button: str = "", where: Where = None, besides: Sequence[PostedMessage] = ()
    ) -> PostedMessage:
        """A post of the channel (or wherever) with these words and, where one is named, this button."""
        seen = {message.id for message in besides}

        def fits(message: PostedMessage) -> bool:
            if message.ephemeral or message.id in seen or (button and button not in message.labels):
                return False
            return all(word in plain(message.text) for word in words)

        return await self.person.wait_for_message(fits, channel=where or self.place, timeout=SECONDS)

    async def thread(self, story: str) -> SeenChannel:
        return await self.person.wait_for_channel(
            lambda seen: seen.is_thread and seen.name.split(" ")[0] == story, timeout=SECONDS
        )

    async def reads(self, story: str, *words: str) -> PostedMessage:
        """A post in the story's thread with these words."""
        return await self.sees(*words, where=await self.thread(story))

    async def again(self, message: PostedMessage, *words: str) -> PostedMessage:
        """The same message, once it was edited to say these words."""
        return await self.person.wait_for_message(
            lambda seen: seen.id == message.id and all(word in plain(seen.text) for word in words),
            timeout=SECONDS,
        )

    async def posts(self, *words: str, where: Where = None) -> list[PostedMessage]:
        """The channel's posts with these words, now."""
        found = await self.person.messages(where or self.place, limit=1000)
        return [one for one in found if not one.ephemeral and all(word in plain(one.text) for word in words)]

    async def sees_picture(self, message: PostedMessage) -> bytes:
        """The picture that comes into a message."""
        drawn = await self.person.wait_for_message(
            lambda seen: seen.id == message.id and bool(seen.attachments), timeout=SECONDS
        )
        picture = await self.person.download(drawn.attachments[0])
        assert picture.startswith(PNG)
        return picture

    # what is done again and again

    async def adds(self, title: str, **options: Any) -> str:
        """A story of the backlog, with a criterion, so that its design needs no agent. Its id."""
        wanted = {"acceptance_criteria": "it says so", **options}
        answer = await self.types("backlog add_story", title=title, **wanted)
        found = re.search(rf"\b{re.escape(self.project)}-\d+\b", answer.text)
        assert found, answer.text
        return found[0]

    async def begins(self, *titles: str, goal: str = "") -> list[str]:
        """A running sprint of these stories."""
        stories = [await self.adds(title) for title in titles]
        await self.types("sprint plan", **({"goal": goal} if goal else {}))
        await self.types("sprint start")
        return stories


def shown(answer: Answer) -> PostedMessage:
    found = said(answer)
    assert found, "nothing was said"
    return found[-1]


def said(answer: Answer) -> list[PostedMessage]:
    return [*([answer.message] if answer.message else []), *answer.followups]


def plain(text: str) -> str:
    """As Discord shows it: without the backslashes that keep text from being markup."""
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


@dataclass
class House:
    """A folder with projects and a script, and the guild in which Orchard runs."""

    root: Path
    guild: LocalGuild
    settings: dict[str, Any] = field(default_factory=dict)  # global ones
    stories: Script = field(default_factory=dict)
    projects: dict[str, Path] = field(default_factory=dict)
    owned: dict[str, dict[str, Any]] = field(default_factory=dict)  # what only the owner's file may say

    @property
    def state(self) -> Path:
        return self.root / ".orch-global"

    def play(self, stories: Mapping[str, Any]) -> None:
        """From now on agents that start play this, too; others have read the script before."""
        self.stories.update(stories)
        fresh = self.root / "replay.fresh"
        fresh.write_text(yaml.safe_dump({"stories": self.stories}))
        fresh.replace(self.root / "replay.yaml")

    def project(self, name: str, files: Mapping[str, str] | None = None, **settings: Any) -> Path:
        self.projects[name] = make_project(self.root / name, {**BASE, **(files or {})}, settings)
        return self.projects[name]

    def configure(self) -> None:
        configuration = {
            "global": {
                "default_agent": "replay",
                "global_discord_guild": self.guild.guild_id,
                "scheduling_interval_seconds": 1,
                "max_load_per_core": None,  # the machine that tests run on may be as busy as it likes
                **self.settings,
            },
            "agents": {"replay": {"variables": {"script": str(self.root / "replay.yaml")}}},
            "projects": {
                name: {
                    "name": name,
                    "path": str(self.projects[name]),
                    # What a replayed agent is counted with, so that a small machine has place for many.
                    "resource_limits": {"agent_memory_mb": 128, "agent_cpu_cores": 0.01},
                    **settings,
                }
                for name, settings in self.owned.items()
            },
        }
        (self.root / "orch-config.yaml").write_text(yaml.safe_dump(configuration))
        self.play({})

    @asynccontextmanager
    async def running(self, *, web: bool = False) -> AsyncIterator[App]:
        self.configure()
        load = loader(self.root, environ={**os.environ, **self.guild.environment})
        with forked_templates(), pytest.MonkeyPatch.context() as patch:
            patient_bot(patch.setattr)
            async with open_app(load, web=web, guild=InProcess(self.guild.desk)) as app:
                await until(lambda: app.discord is not None and app.discord.connected, "a connected bot")
                await until(self.guild.person("owner").commands, "registered commands")
                yield app

    def user(self, name: str, project: str) -> User:
        return User(person=self.guild.person(name), project=project)

    async def moves_in(self, name: str, project: str) -> User:
        """A project is registered and started, by command; its person, who sees the channel."""
        user = self.user(name, project)
        path = str(self.projects[project])
        if project not in self.owned:
            registered = await user.types("project_register", where="general", name=project, path=path)
            assert project in registered.text
            await user.types("project_start", where="general", project=project)
        await user.person.wait_for_channel(lambda seen: seen.name == user.place, timeout=SECONDS)
        return user

    # what a person at the machine sees

    def worktree(self, story: str) -> Path:
        return self.state / "worktrees" / story.rpartition("-")[0] / story

    def subjects(self, project: str) -> list[str]:
        """The commits on the main branch, oldest first."""
        return git(self.projects[project], "log", "--reverse", "--format=%s", "main").splitlines()

    async def agent_did(self, story: str, words: str) -> None:
        """Until the story's agent has come to a step with these words in its title."""
        folder = self.state / "transcripts" / story.rpartition("-")[0] / story

        def found() -> bool:
            return any(words in path.read_text(errors="replace") for path in folder.glob("*.jsonl"))

        await until(found, f"{story}'s agent: {words}")


@asynccontextmanager
async def open_house(
    root: Path, *, settings: Mapping[str, Any] | None = None, on_exchange: Any = None, on_event: Any = None
) -> AsyncIterator[House]:
    """A guild, and a house in which nothing runs yet."""
    async with AsyncExitStack() as stack:
        guild = await stack.enter_async_context(
            LocalGuild(patient_guild(), on_exchange=on_exchange, on_event=on_event)
        )
        yield House(root=root, guild=guild, settings=dict(settings or {}))


async def gather(*work: Awaitable[Any]) -> list[Any]:
    """All at once; the first failure is raised when all have ended."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for one in results:
        if isinstance(one, BaseException):
            raise one
    return list(results)
