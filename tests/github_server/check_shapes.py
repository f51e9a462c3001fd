"""PURE. The JSON of check runs, check suites and commit statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.github_server.shapes import Json, of_account
from tests.github_server.things import CheckRun, Status
from tests.github_server.world import node_id, stamp

if TYPE_CHECKING:
    from tests.github_server.repository import Repository


def of_check_app(repo: Repository, slug: str) -> Json:
    return {
        "id": 15368,
        "slug": slug,
        "node_id": node_id("App", 15368),
        "owner": of_account(repo.world, repo.world.account("github", "Organization")),
        "name": slug,
        "description": "",
        "external_url": f"{repo.world.web}/features",
        "html_url": f"{repo.world.web}/apps/{slug}",
        "created_at": "2018-07-30T09:30:17Z",
        "updated_at": "2018-07-30T09:30:17Z",
        "permissions": {"checks": "write"},
        "events": ["check_run", "check_suite"],
    }


def of_check(repo: Repository, check: CheckRun) -> Json:
    url = f"{repo.api}/check-runs/{check.id}"
    return {
        "id": check.id,
        "name": check.name,
        "node_id": node_id("CheckRun", check.id),
        "head_sha": check.sha,
        "external_id": "",
        "url": url,
        "html_url": f"{repo.html}/runs/{check.id}",
        "details_url": check.details_url or f"{repo.html}/actions/runs/{check.id}",
        "status": check.status,
        "conclusion": check.conclusion,
        "started_at": stamp(check.started_at),
        "completed_at": stamp(check.completed_at),
        "output": {
            "title": check.title,
            "summary": check.summary,
            "text": check.text,
            "annotations_count": len(check.annotations),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": repo.suite_id(check.sha, check.app)},
        "app": of_check_app(repo, check.app),
        "pull_requests": [
            {
                "id": pull.id,
                "number": pull.issue.number,
                "url": f"{repo.api}/pulls/{pull.issue.number}",
                "head": {"ref": pull.head, "sha": pull.head_sha},
                "base": {"ref": pull.base, "sha": pull.base_sha},
            }
            for pull in repo.open_pulls()
            if pull.head_sha == check.sha
        ],
    }


def of_suite(repo: Repository, sha: str, app: str) -> Json:
    checks = [check for check in repo.checks_of(sha) if check.app == app]
    open_ones = [check for check in checks if check.status != "completed"]
    failed = next(
        (c.conclusion for c in checks if c.conclusion not in ("success", "neutral", "skipped")), None
    )
    number = repo.suite_id(sha, app)
    status = repo.suite_states.get((sha, app)) or (open_ones[0].status if open_ones else "completed")
    return {
        "id": number,
        "node_id": node_id("CheckSuite", number),
        "head_branch": repo.branch_at(sha),
        "head_sha": sha,
        "status": status,
        "conclusion": (failed or "success") if status == "completed" else None,
        "url": f"{repo.api}/check-suites/{number}",
        "before": None,
        "after": sha,
        "pull_requests": [],
        "app": of_check_app(repo, app),
        "latest_check_runs_count": len(checks),
        "check_runs_url": f"{repo.api}/check-suites/{number}/check-runs",
        "created_at": stamp(repo.created_at),
        "updated_at": stamp(repo.world.now()),
    }


def of_status(repo: Repository, status: Status) -> Json:
    return {
        "url": f"{repo.api}/statuses/{status.sha}",
        "avatar_url": f"{repo.world.web}/avatars/u/{status.creator.id}",
        "id": status.id,
        "node_id": node_id("StatusContext", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": stamp(status.created_at),
        "updated_at": stamp(status.created_at),
    }
