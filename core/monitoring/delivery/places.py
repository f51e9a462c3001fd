"""To which address an alert goes, by the settings as they are now and the projects' secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from config.fields import is_secret_address
from config.settings import Settings
from core.domain.alert import Alert
from core.errors import OrchardError
from core.known_secrets import known_secrets
from core.security.secrets import Secrets

log = logging.getLogger(__name__)

SLACK_SECRET = "SLACK_WEBHOOK_URL"  # noqa: S105 - its name
_ACTOR = "orchard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`secret` signs what is sent there; `channel`: of Slack."""

    url: str
    secret: str | None = None
    channel: str | None = None


class Places:
    def __init__(self, settings: Callable[[], Settings], secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        self._handed: dict[str, tuple[int, str]] = {}  # version and address, by project: handed out once

    def webhook(self) -> Place | None:
        """None: there is none."""
        settings = self._settings()
        url = settings.global_.monitoring_webhook_url
        return None if url is None else Place(url=url, secret=_plain(settings.monitoring_webhook_secret))

    async def slack(self, alert: Alert) -> Place | None:
        """A project's own webhook is its secret SLACK_WEBHOOK_URL; without one it is Orchard's, which is told
        the project's slack_channel. None: there is neither, or the project's secret does not open."""
        settings = self._settings()
        project = None if alert.project is None else settings.projects.get(alert.project)
        if alert.project is not None and (own := await self._own(alert.project)) is not None:
            return Place(url=own)
        orchards = _plain(settings.slack_webhook_url)
        if orchards is None:
            return None
        return Place(url=orchards, channel=None if project is None else project.slack_channel)

    async def _own(self, project: str) -> str | None:
        listed = await self._secrets.listed(project)
        version = next((each.version for each in listed if each.name == SLACK_SECRET), None)
        if version is None:
            self._handed.pop(project, None)
            return None
        known = self._handed.get(project)
        if known is None or known[0] != version:
            known = version, await self._open(project)
            self._handed[project] = known
        return known[1] or None

    async def _open(self, project: str) -> str:
        """ "" where it is of no use; that is said once for each version of it."""
        try:
            handed = await self._secrets.hand_out(
                project, (SLACK_SECRET,), actor=_ACTOR, process="an alert to Slack"
            )
        except OrchardError as error:
            log.error("alerts of %s do not reach its own Slack: %s", project, error)
            return ""
        url = handed.environment((), {})[SLACK_SECRET].strip()
        known_secrets.learn((url,))
        if not is_secret_address(url):
            log.error(
                "alerts of %s do not reach its own Slack: its secret %s is no address that starts with https://",
                project,
                SLACK_SECRET,
            )
            return ""
        return url


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
