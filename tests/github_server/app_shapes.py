"""PURE. The JSON of GitHub Apps and their installations."""

from __future__ import annotations

from tests.github_server.shapes import Json, of_account
from tests.github_server.world import App, World, node_id


def of_app(world: World, app: App) -> Json:
    return {
        "id": app.id,
        "slug": app.slug,
        "node_id": node_id("App", app.id),
        "owner": of_account(world, app.account),
        "name": app.slug,
        "description": "",
        "external_url": world.web,
        "html_url": f"{world.web}/apps/{app.slug}",
        "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z",
        "permissions": {"issues": "write", "contents": "write", "pull_requests": "write", "checks": "read"},
        "events": ["issues", "issue_comment", "pull_request", "check_run"],
        "installations_count": len(app.installations),
    }


def of_installation(world: World, app: App, number: int) -> Json:
    owner = world.account(app.installations[number])
    return {
        "id": number,
        "account": of_account(world, owner),
        "repository_selection": "all",
        "access_tokens_url": f"{world.api}/app/installations/{number}/access_tokens",
        "repositories_url": f"{world.api}/installation/repositories",
        "html_url": f"{world.web}/settings/installations/{number}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": owner.id,
        "target_type": owner.kind,
        "permissions": {"issues": "write", "contents": "write", "pull_requests": "write", "checks": "read"},
        "events": [],
        "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z",
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": None,
    }
