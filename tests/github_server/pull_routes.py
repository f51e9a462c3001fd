"""Pull requests, reviews, checks, branches and releases over HTTP."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from tests.github_server import check_shapes, shapes
from tests.github_server.asking import Asking
from tests.github_server.bare import GitError
from tests.github_server.issue_desk import UNSET
from tests.github_server.repository import Repository
from tests.github_server.routing import Routes
from tests.github_server.things import CheckRun
from tests.github_server.world import PERMISSIONS, Refusal

routes = Routes()
_REPO = "/repos/{owner}/{repo}"
_ONE = _REPO + "/pulls/{number:int}"


@routes.get(_REPO + "/pulls")
def list_pulls(ask: Asking, repo: Repository) -> web.Response:
    query = ask.request.query
    state, head, base = query.get("state", "open"), query.get("head"), query.get("base")
    rows = [issue.pull for issue in repo.issues.values() if issue.pull and state in ("all", issue.state)]
    if head and ":" in head:  # without an owner it is ignored
        rows = [each for each in rows if f"{repo.owner.login}:{each.head}".lower() == head.lower()]
    if base:
        rows = [each for each in rows if each.base == base]
    moment = "updated_at" if query.get("sort") == "updated" else "created_at"
    direction = query.get("direction", "desc" if query.get("sort", "created") == "created" else "asc")
    rows.sort(key=lambda p: (getattr(p.issue, moment), p.issue.number), reverse=direction == "desc")
    return ask.page(rows, lambda pull: shapes.of_pull(repo, pull, whole=False))


@routes.post(_REPO + "/pulls")
def create_pull(ask: Asking, repo: Repository) -> web.Response:
    by = ask.needs(repo, "read")
    pull = repo.open_pull(
        ask.text("head", required=True) or "",
        ask.text("base", required=True),
        title=ask.text("title", required=True) or "",
        body=ask.text("body"),
        draft=bool(ask.body.get("draft")),
        by=by,
    )
    return web.json_response(shapes.of_pull(repo, pull), status=201)


@routes.get(_ONE)
def get_pull(ask: Asking, repo: Repository, number: int) -> web.Response:
    return web.json_response(shapes.of_pull(repo, repo.pull(number)))


@routes.patch(_ONE)
def edit_pull(ask: Asking, repo: Repository, number: int) -> web.Response:
    pull, by = repo.pull(number), ask.needs(repo, "read")
    if pull.issue.author is not by:
        ask.needs(repo, "write")
    repo.edit_issue(number, title=ask.text("title"), body=ask.body.get("body", UNSET), by=by)
    if base := ask.text("base"):
        pull.base, pull.base_sha = base, repo.head(base)
    if state := ask.text("state"):
        repo.set_pull_state(number, state, by)
    return web.json_response(shapes.of_pull(repo, pull))


@routes.get(_ONE + "/merge")
def is_merged(ask: Asking, repo: Repository, number: int) -> web.Response:
    if repo.pull(number).merged_at is None:
        raise Refusal(404, "Not Found")
    return web.Response(status=204)


@routes.put(_ONE + "/merge")
def merge_pull(ask: Asking, repo: Repository, number: int) -> web.Response:
    repo.pull(number)
    commit = repo.merge_pull(
        number,
        sha=ask.text("sha"),
        method=ask.text("merge_method") or "merge",
        title=ask.text("commit_title"),
        message=ask.text("commit_message"),
        by=ask.needs(repo, "write"),
    )
    told = {"sha": commit, "merged": True, "message": "Pull Request successfully merged"}
    return web.json_response(told)


@routes.get(_ONE + "/commits")
def list_commits(ask: Asking, repo: Repository, number: int) -> web.Response:
    pull = repo.pull(number)
    shas = repo.git.run("rev-list", "--reverse", f"{pull.base_sha}..{pull.head_sha}").split()
    return ask.page(shas, lambda sha: _commit(repo, sha))


def _commit(repo: Repository, sha: str) -> dict[str, object]:
    name, email, date, message = repo.git.run("log", "-1", "--format=%an%n%ae%n%aI%n%B", sha).split("\n", 3)
    who = {"name": name, "email": email, "date": datetime.fromisoformat(date).isoformat()}
    commit = {"message": message, "author": who, "committer": who, "url": f"{repo.api}/git/commits/{sha}"}
    parents = repo.git.run("log", "-1", "--format=%P", sha).split()
    return {
        "sha": sha,
        "node_id": sha,
        "url": f"{repo.api}/commits/{sha}",
        "html_url": f"{repo.html}/commit/{sha}",
        "commit": commit,
        "author": None,
        "committer": None,
        "parents": [{"sha": each, "url": f"{repo.api}/commits/{each}"} for each in parents],
    }


# Reviews


@routes.get(_ONE + "/reviews")
def list_reviews(ask: Asking, repo: Repository, number: int) -> web.Response:
    pull = repo.pull(number)
    return ask.page(pull.reviews, lambda review: shapes.of_review(repo, pull, review))


@routes.post(_ONE + "/reviews")
def create_review(ask: Asking, repo: Repository, number: int) -> web.Response:
    pull = repo.pull(number)
    state = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
    review = repo.review(
        number,
        ask.needs(repo, "read"),
        state.get(ask.text("event") or "", "?"),
        ask.text("body") or "",
        ask.body.get("comments") or (),
    )
    return web.json_response(shapes.of_review(repo, pull, review))


@routes.get(_ONE + "/comments")
def list_review_comments(ask: Asking, repo: Repository, number: int) -> web.Response:
    pull, since = repo.pull(number), ask.moment("since")
    rows = [each for each in pull.comments if not since or each.updated_at >= since]
    return ask.page(rows, lambda comment: shapes.of_review_comment(repo, pull, comment))


@routes.get(_ONE + "/reviews/{review:int}/comments")
def list_comments_of_review(ask: Asking, repo: Repository, number: int, review: int) -> web.Response:
    pull = repo.pull(number)
    rows = [each for each in pull.comments if each.review and each.review.id == review]
    return ask.page(rows, lambda comment: shapes.of_review_comment(repo, pull, comment))


@routes.post(_ONE + "/comments/{comment:int}/replies")
def reply(ask: Asking, repo: Repository, number: int, comment: int) -> web.Response:
    pull, by = repo.pull(number), ask.needs(repo, "read")
    above = next((each for each in pull.comments if each.id == comment), None)
    if above is None:
        raise Refusal(404, "Not Found")
    text = ask.text("body", required=True) or ""
    made = repo.review_comment(number, by, text, path=above.path, line=above.line, reply_to=comment)
    return web.json_response(shapes.of_review_comment(repo, pull, made), status=201)


# Checks


def _sha(repo: Repository, ref: str) -> str:
    """Raises Refusal (422), as GitHub does for what is no commit."""
    try:
        return repo.git.run("rev-parse", "--verify", "-q", f"{ref.removeprefix('heads/')}^{{commit}}")
    except GitError:
        raise Refusal(422, f"No commit found for SHA: {ref}") from None


@routes.get(_REPO + "/commits/{ref:rest}/check-runs")
def list_checks(ask: Asking, repo: Repository, ref: str) -> web.Response:
    query, sha = ask.request.query, _sha(repo, ref)
    rows = repo.checks_of(sha, latest=query.get("filter", "latest") == "latest")
    rows = [row for row in rows if query.get("check_name", row.name) == row.name]
    rows = [row for row in rows if query.get("status", row.status) == row.status]
    return ask.page(rows, lambda check: check_shapes.of_check(repo, check), within="check_runs")


@routes.get(_REPO + "/commits/{ref:rest}/check-suites")
def list_suites(ask: Asking, repo: Repository, ref: str) -> web.Response:
    sha = _sha(repo, ref)
    known = [app for (of, app), status in repo.suite_states.items() if of == sha and status]
    apps = sorted({*known, *(check.app for check in repo.checks_of(sha))})
    return ask.page(apps, lambda app: check_shapes.of_suite(repo, sha, app), within="check_suites")


def _check(repo: Repository, number: int) -> CheckRun:
    if number not in repo.checks:
        raise Refusal(404, "Not Found")
    return repo.checks[number]


@routes.get(_REPO + "/check-runs/{number:int}")
def get_check(ask: Asking, repo: Repository, number: int) -> web.Response:
    return web.json_response(check_shapes.of_check(repo, _check(repo, number)))


@routes.get(_REPO + "/check-runs/{number:int}/annotations")
def list_annotations(ask: Asking, repo: Repository, number: int) -> web.Response:
    return ask.page(_check(repo, number).annotations, lambda row: row)


@routes.get(_REPO + "/commits/{ref:rest}/status")
def get_status(ask: Asking, repo: Repository, ref: str) -> web.Response:
    """All contexts together; with none of them the state is `pending`."""
    sha = _sha(repo, ref)
    rows = repo.statuses_of(sha)
    states = {row.state for row in rows}
    bad, good = states & {"failure", "error"}, states == {"success"}
    told = {
        "state": "failure" if bad else "success" if good else "pending",
        "sha": sha,
        "total_count": len(rows),
        "statuses": [check_shapes.of_status(repo, row) for row in rows],
        "repository": shapes.of_repository(ask.world, repo),
        "commit_url": f"{repo.api}/commits/{sha}",
        "url": f"{repo.api}/commits/{sha}/status",
    }
    size = int(ask.request.query.get("per_page", 30))
    page = int(ask.request.query.get("page", 1))
    paged = ask.page(rows, lambda row: check_shapes.of_status(repo, row))
    told["statuses"] = told["statuses"][(page - 1) * size : page * size]
    links = {"link": paged.headers["link"]} if "link" in paged.headers else {}
    return web.json_response(told, headers=links)


@routes.get(_REPO + "/commits/{ref:rest}/statuses")
def list_statuses(ask: Asking, repo: Repository, ref: str) -> web.Response:
    sha = _sha(repo, ref)
    rows = [row for row in reversed(repo.statuses) if row.sha == sha]
    return ask.page(rows, lambda row: check_shapes.of_status(repo, row))


@routes.post(_REPO + "/statuses/{sha}")
def create_status(ask: Asking, repo: Repository, sha: str) -> web.Response:
    by = ask.needs(repo, "write")
    status = repo.set_status(
        _sha(repo, sha),
        ask.text("context") or "default",
        ask.text("state", required=True) or "",
        description=ask.text("description"),
        url=ask.text("target_url"),
        by=by,
    )
    return web.json_response(check_shapes.of_status(repo, status), status=201)


# Branches and commits


@routes.get(_REPO + "/branches/{branch:rest}")
def get_branch(ask: Asking, repo: Repository, branch: str) -> web.Response:
    sha = repo.git.heads().get(branch)
    if sha is None:
        raise Refusal(404, "Branch not found")
    protected = branch in repo.protections
    told = {"name": branch, "commit": _commit(repo, sha), "protected": protected}
    return web.json_response(told | {"protection": {"enabled": protected}, "_links": {}})


@routes.get(_REPO + "/git/ref/heads/{branch:rest}")
def get_ref(ask: Asking, repo: Repository, branch: str) -> web.Response:
    sha = repo.git.heads().get(branch)
    if sha is None:
        raise Refusal(404, "Not Found")
    url = f"{repo.api}/git/refs/heads/{branch}"
    target = {"type": "commit", "sha": sha, "url": f"{repo.api}/git/commits/{sha}"}
    return web.json_response({"ref": f"refs/heads/{branch}", "node_id": sha, "url": url, "object": target})


@routes.delete(_REPO + "/git/refs/heads/{branch:rest}")
def delete_ref(ask: Asking, repo: Repository, branch: str) -> web.Response:
    repo.delete_branch(branch, ask.needs(repo, "write"))
    return web.Response(status=204)


@routes.get(_REPO + "/compare/{ends:rest}")
def compare(ask: Asking, repo: Repository, ends: str) -> web.Response:
    base, head = (_sha(repo, ref) for ref in ends.split("...", 1))
    ahead = int(repo.git.run("rev-list", "--count", f"{base}..{head}"))
    behind = int(repo.git.run("rev-list", "--count", f"{head}..{base}"))
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    shas = repo.git.run("rev-list", "--reverse", f"{base}..{head}").split()
    told = {
        "url": f"{repo.api}/compare/{base}...{head}",
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [_commit(repo, sha) for sha in shas],
        "files": [],
    }
    return web.json_response(told)


@routes.get(_REPO + "/commits/{ref:rest}")
def get_commit(ask: Asking, repo: Repository, ref: str) -> web.Response:
    return web.json_response(_commit(repo, _sha(repo, ref)) | {"files": []})


# Releases


@routes.get(_REPO + "/releases")
def list_releases(ask: Asking, repo: Repository) -> web.Response:
    may = PERMISSIONS.index(ask.level(repo)) >= PERMISSIONS.index("write")
    rows = [each for each in reversed(repo.releases.values()) if may or not each.draft]
    return ask.page(rows, lambda release: shapes.of_release(repo, release))


@routes.post(_REPO + "/releases")
def create_release(ask: Asking, repo: Repository) -> web.Response:
    by = ask.needs(repo, "write")
    release = repo.add_release(
        ask.text("tag_name", required=True) or "",
        name=ask.text("name"),
        body=ask.text("body"),
        draft=bool(ask.body.get("draft")),
        prerelease=bool(ask.body.get("prerelease")),
        target=ask.text("target_commitish"),
        by=by,
    )
    return web.json_response(shapes.of_release(repo, release), status=201)


@routes.get(_REPO + "/releases/tags/{tag:rest}")
def get_release_of_tag(ask: Asking, repo: Repository, tag: str) -> web.Response:
    for release in repo.releases.values():
        if release.tag_name == tag and not release.draft:
            return web.json_response(shapes.of_release(repo, release))
    raise Refusal(404, "Not Found")


@routes.get(_REPO + "/releases/{number:int}")
def get_release(ask: Asking, repo: Repository, number: int) -> web.Response:
    return web.json_response(shapes.of_release(repo, repo.release(number)))


@routes.patch(_REPO + "/releases/{number:int}")
def edit_release(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "write")
    release, body = repo.release(number), ask.body
    release.tag_name = ask.text("tag_name") or release.tag_name
    release.target = ask.text("target_commitish") or release.target
    release.name, release.body = body.get("name", release.name), body.get("body", release.body)
    if body.get("draft") is False and release.draft:
        release.draft, release.published_at = False, ask.world.now()
    return web.json_response(shapes.of_release(repo, release))


@routes.delete(_REPO + "/releases/{number:int}")
def delete_release(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "write")
    del repo.releases[repo.release(number).id]
    return web.Response(status=204)
