"""What speaks with GitHub, put together. Imported when the first project is linked, and not before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from config.github_settings import ProjectGithub
from config.settings import Settings
from core.domain.story import Story
from core.github.api.gateway import GithubGateway
from core.github.inward.inbound import Inbound
from core.github.keeping import Parts
from core.github.outward.outbound import Outbound
from core.github.pulls.watch import Pulls
from core.github.service import GithubService
from core.github.webhooks.hooks import Hooks
from core.orchestrator.commands.topic import Engine
from core.orchestrator.publishing import Publishing
from core.orchestrator.setups import Setups
from core.security.secrets import Secrets


def make_parts(
    *,
    github: GithubService,
    settings: Callable[[], Settings],
    setups: Setups,
    secrets: Secrets,
    root: Path,
    publishing: Publishing,
    engine: Engine,
) -> Parts:
    def of_project(name: str) -> ProjectGithub:
        return setups.settings(name).github

    async def end_run(story: Story) -> None:
        await engine.cancel(story.project, story.id)

    store, clock = github.store, github.clock
    gateway = GithubGateway(store, settings, secrets, root=root, clock=clock)
    return Parts(
        gateway=gateway,
        inbound=Inbound(store, gateway, of_project, clock, engine),
        pulls=Pulls(store, gateway, publishing, setups, clock, end_run=end_run),
        outbound=Outbound(store, gateway, of_project, clock),
        hooks=Hooks(store, gateway, settings, secrets),
    )
