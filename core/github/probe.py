"""What GitHub still allows, as it is measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from core.domain.metric import Sample
from core.github.service import GithubService


class GithubProbe:
    """`core.monitoring.service.Probe`."""

    def __init__(self, github: GithubService) -> None:
        self._github = github

    def samples(self, now: datetime) -> Iterator[Sample]:
        """Of each linked project that asked already."""
        for project, remaining in self._github.remaining().items():
            yield Sample(
                metric="github_rate_remaining",
                value=float(remaining),
                at=now,
                source="github",
                labels=(("project", project),),
            )
