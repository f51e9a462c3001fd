"""What differs between two readings of the settings, in lines, and which of it takes effect only later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from config.settings import Settings

# Read once, when Orchard starts.
_AFTER_A_RESTART = (
    "global.global_state_path",
    "global.global_discord_guild",
    "global.discord",
    "global.heartbeat_seconds",
    "global.lease_seconds",
    "global.scheduling_interval_seconds",
    "global.security.require_2fa",
    "global.security.session_timeout_minutes",
    "global.web",
    "discord_api_url",
    "discord_gateway_url",
)
# The store has them from then on: a project is moved, started and stopped by commands.
_WHEN_FIRST_SEEN = ("path", "status")
# Told without their values; of the environment, by the names there.
_SECRET = {
    "github_token": "GITHUB_TOKEN",
    "github_webhook_secrets": "GITHUB_WEBHOOK_SECRET",
    "monitoring_webhook_secret": "MONITORING_WEBHOOK_SECRET",
    "slack_webhook_url": "SLACK_WEBHOOK_URL",
    "external_metrics_token": "EXTERNAL_METRICS_TOKEN",
}
_UNTOLD = {*_SECRET, "discord_token", "agents"}  # agents' rows may hold keys


def differences(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines such as "global.max_total_agents: 20 → 10": of what is in force now, of what is not."""
    changed: list[str] = []
    later: list[str] = []
    before, after = _plain(old), _plain(new)
    for name in (*before, *(each for each in after if each not in before)):
        was, now = before.get(name, _ABSENT), after.get(name, _ABSENT)
        for key, line in _compared(name, was, now):
            if why := _not_now(key):
                later.append(f"{line} ({why})")
            else:
                changed.append(line)
    if old.discord_token != new.discord_token:
        later.append("DISCORD_TOKEN changed (after a restart)")
    changed += [
        f"{variable} changed"
        for name, variable in _SECRET.items()
        if getattr(old, name) != getattr(new, name)
    ]
    changed += [
        f"agents.{name} changed"
        for name in dict.fromkeys((*old.agents, *new.agents))
        if old.agents.get(name) != new.agents.get(name)
    ]
    return tuple(changed), tuple(later)


def _plain(settings: Settings) -> dict[str, Any]:
    data = settings.model_dump(mode="json", exclude=_UNTOLD)
    return {"global": data.pop("global_"), **data}


_ABSENT = object()


def _compared(key: str, was: Any, now: Any) -> Iterator[tuple[str, str]]:
    """(dotted key, line) of all that differs below `key`."""
    if was == now:
        return
    is_project = key.startswith("projects.") and key.count(".") == 1
    if is_project and (was is _ABSENT or now is _ABSENT):
        yield key, f"{key}: {'added' if was is _ABSENT else 'taken out'}"
    elif isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*was, *now)):
            yield from _compared(f"{key}.{name}", was.get(name, _ABSENT), now.get(name, _ABSENT))
    else:
        yield key, f"{key}: {_shown(was)} → {_shown(now)}"


def _shown(value: Any) -> str:
    if value is _ABSENT or value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _not_now(key: str) -> str:
    if any(key == each or key.startswith(f"{each}.") for each in _AFTER_A_RESTART):
        return "after a restart"
    parts = key.split(".")
    if parts[0] == "projects" and len(parts) > 2 and parts[-1] in _WHEN_FIRST_SEEN:
        return "only when a project is first seen"
    return ""
