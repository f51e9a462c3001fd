"""The demo's set: two small real git projects, a replay script and a configuration, in one folder."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """What a person asks for."""

    title: str
    criteria: tuple[str, ...]
    body: str
    priority: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the scripted person says to a question."""

    reason: str = ""  # of a rejection; empty approves


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """The whole script of the demo."""

    goals: Mapping[str, str]  # project to sprint goal
    stories: Mapping[str, tuple[StoryLine, ...]]
    epics: Mapping[str, str]  # project to a wish for several stories, where it has one
    answers: Mapping[str, tuple[Answer, ...]]  # story title to answers, in turn
    projects: Mapping[str, Path]
    welcome: str  # to who plays in the browser


def set_stage(folder: Path, guild_id: int, *, in_browser: bool = False) -> Play:
    """Makes everything below `folder`; the projects are ordinary repositories with one commit each.

    `in_browser`: its web server takes a free port, so that it runs beside an Orchard that is there.
    """
    content = yaml.safe_load((resources.files("bot.cli.demo") / "content.yaml").read_text("utf-8"))
    script = folder / "replay.yaml"
    script.write_text(yaml.safe_dump(content["replay"], sort_keys=False, allow_unicode=True))
    projects = {
        name: _make_project(folder / name, project["files"]) for name, project in content["projects"].items()
    }
    configuration: dict[str, Any] = {
        "global": {
            "default_agent": "replay",
            "global_discord_guild": guild_id,
            "scheduling_interval_seconds": 5,
        },
        "agents": {"replay": {"variables": {"script": str(script)}}},
    }
    if in_browser:
        configuration["global"]["web"] = {"port": 0}
    (folder / "orch-config.yaml").write_text(yaml.safe_dump(configuration, sort_keys=False))
    return Play(
        goals={name: project["goal"] for name, project in content["projects"].items()},
        stories={
            name: tuple(_story_line(entry) for entry in project["sprint"])
            for name, project in content["projects"].items()
        },
        epics={name: project["epic"] for name, project in content["projects"].items() if "epic" in project},
        answers={
            title: tuple(Answer(reason=reason) for reason in said)
            for title, said in content["answers"].items()
        },
        projects=projects,
        welcome="\n\n".join(content["welcome"]),
    )


def _story_line(entry: Mapping[str, Any]) -> StoryLine:
    return StoryLine(
        title=entry["title"],
        criteria=tuple(entry.get("criteria", ())),
        body=entry.get("body", ""),
        priority=entry.get("priority", "normal"),
    )


def _make_project(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    identity = ("-c", "user.name=Demo", "-c", "user.email=demo@localhost")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, *identity, "commit", "--quiet", "--message=First commit")
    return folder


def _git(folder: Path, *arguments: str) -> None:
    command: Sequence[str] = ("git", "-C", str(folder), *arguments)
    subprocess.run(command, check=True, capture_output=True)
