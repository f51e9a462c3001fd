"""Check runs and commit statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.github_server import check_shapes, shapes
from tests.github_server.issue_desk import IssueDesk
from tests.github_server.things import CheckRun, Release, Status
from tests.github_server.world import Account, Refusal, invalid

CONCLUSIONS = (
    "success",
    "failure",
    "neutral",
    "cancelled",
    "skipped",
    "timed_out",
    "action_required",
    "stale",
)
GOOD = ("success", "neutral", "skipped")


class CheckDesk(IssueDesk):
    def set_check(
        self,
        sha: str,
        name: str,
        conclusion: str | None = "success",
        *,
        status: str = "",
        title: str | None = None,
        summary: str | None = None,
        text: str | None = None,
        url: str = "",
        annotations: Sequence[dict[str, Any]] = (),
        app: str = "github-actions",
        again: bool = False,
    ) -> CheckRun:
        """The check run of that name on the commit, made or changed. `conclusion` None: it runs (or is
        queued, by `status`). `again`: a new run of the same name, as a re-run makes."""
        found = next((c for c in self.checks_of(sha) if c.name == name and c.app == app), None)
        assert conclusion is None or conclusion in (*CONCLUSIONS, "startup_failure"), conclusion
        now, created = self.world.now(), found is None or again
        check = found
        if check is None or again:
            check = CheckRun(id=self.next_id(), name=name, sha=sha, app=app, started_at=now)
            self.checks[check.id] = check
        check.conclusion, check.status = (
            conclusion,
            status or ("in_progress" if conclusion is None else "completed"),
        )
        check.completed_at = now if conclusion else None
        check.title, check.summary, check.text = title, summary, text
        check.details_url = url
        check.annotations = [_whole(each) for each in annotations]
        action = "completed" if check.status == "completed" else "created"
        if created and action == "completed":
            self.tell("check_run", "created", None, check_run=check_shapes.of_check(self, check))
        self.tell("check_run", action, None, check_run=check_shapes.of_check(self, check))
        suite = check_shapes.of_suite(self, sha, app)
        if suite["status"] == "completed":
            self.tell("check_suite", "completed", None, check_suite=suite)
        return check

    def checks_of(self, sha: str, *, latest: bool = True) -> list[CheckRun]:
        """Newest first; `latest`: of each name and app but the newest."""
        rows = sorted((c for c in self.checks.values() if c.sha == sha), key=lambda c: c.id, reverse=True)
        if not latest:
            return rows
        newest: dict[tuple[str, str], CheckRun] = {}
        for row in rows:
            newest.setdefault((row.name, row.app), row)
        return list(newest.values())

    def suite_id(self, sha: str, app: str) -> int:
        if (sha, app) not in self.suites:
            self.suites[sha, app] = self.next_id()
        return self.suites[sha, app]

    def set_suite(self, sha: str, app: str, status: str) -> None:
        """What an app makes of a commit, whatever its runs say: "in_progress" between two jobs, "queued" of
        one that never checks; "": as its runs say."""
        self.suite_states[sha, app] = status

    def branch_at(self, sha: str) -> str | None:
        return next((branch for branch, head in self.heads.items() if head == sha), None)

    def set_status(
        self,
        sha: str,
        context: str,
        state: str = "success",
        *,
        description: str | None = None,
        url: str | None = None,
        by: str | Account | None = None,
    ) -> Status:
        """A commit status, as older services set them. Raises Refusal (422)."""
        if state not in ("error", "failure", "pending", "success"):
            raise invalid("Status", "state", "invalid")
        status = Status(
            id=self.next_id(),
            sha=sha,
            context=context,
            state=state,
            description=description,
            target_url=url,
            creator=self.actor(by),
            created_at=self.world.now(),
        )
        self.statuses.append(status)
        told = check_shapes.of_status(self, status)
        self.tell("status", None, status.creator, sha=sha, name=self.full_name, branches=[], **told)
        return status

    def statuses_of(self, sha: str) -> list[Status]:
        """The newest of each context."""
        return list({status.context: status for status in self.statuses if status.sha == sha}.values())

    def missing_checks(self, sha: str, names: Sequence[str]) -> list[str]:
        """Those of the names that have not passed on the commit."""
        passed = {check.name for check in self.checks_of(sha) if check.conclusion in GOOD}
        passed |= {status.context for status in self.statuses_of(sha) if status.state == "success"}
        return [name for name in names if name not in passed]

    # Releases

    def add_release(
        self,
        tag_name: str,
        *,
        name: str | None = None,
        body: str | None = None,
        draft: bool = False,
        prerelease: bool = False,
        target: str | None = None,
        by: str | Account | None = None,
    ) -> Release:
        """Raises Refusal: a published one of that tag exists. Of drafts there may be several."""
        if not tag_name.strip():
            raise invalid("Release", "tag_name", "missing_field")
        if not draft and any(r.tag_name == tag_name and not r.draft for r in self.releases.values()):
            raise invalid("Release", "tag_name", "already_exists")
        now = self.world.now()
        release = Release(
            id=self.next_id(),
            tag_name=tag_name,
            target=target or self.default_branch,
            name=name,
            body=body,
            draft=draft,
            prerelease=prerelease,
            author=self.actor(by),
            created_at=now,
            published_at=None if draft else now,
        )
        self.releases[release.id] = release
        self.tell("release", "created", release.author, release=shapes.of_release(self, release))
        return release

    def release(self, number: int) -> Release:
        """Raises Refusal (404)."""
        if number not in self.releases:
            raise Refusal(404, "Not Found")
        return self.releases[number]


def _whole(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation with all of its fields; tests give path, line and message."""
    line = annotation.get("line", annotation.get("start_line", 1))
    told = {
        "path": "",
        "start_line": line,
        "end_line": line,
        "start_column": None,
        "end_column": None,
        "annotation_level": "failure",
        "title": None,
        "message": "",
        "raw_details": None,
        "blob_href": "",
    }
    return told | {name: value for name, value in annotation.items() if name != "line"}
