"""PURE. The JSON of each thing, in the shapes of GitHub's published description of its REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.github_server.things import (
    Comment,
    Hook,
    Issue,
    Label,
    Milestone,
    Pull,
    Reaction,
    Release,
    Review,
    ReviewComment,
)
from tests.github_server.world import PERMISSIONS, Account, World, node_id, stamp

if TYPE_CHECKING:
    from tests.github_server.repository import Repository

Json = dict[str, Any]


def of_account(world: World, account: Account | None) -> Json | None:
    if account is None:
        return None
    api = f"{world.api}/users/{account.login}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("User", account.id),
        "avatar_url": f"{world.web}/avatars/u/{account.id}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{world.web}/{account.login}",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "type": account.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def of_permissions(level: str) -> dict[str, bool]:
    rank = PERMISSIONS.index(level)
    names = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    return {name: rank >= PERMISSIONS.index(least) for name, least in names.items()}


def of_repository(world: World, repo: Repository, level: str | None = None) -> Json:
    told = {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": of_account(world, repo.owner),
        "html_url": repo.html,
        "description": None,
        "fork": False,
        "url": repo.api,
        "clone_url": f"{repo.html}.git",
        "git_url": f"git:{repo.html.partition(':')[2]}.git",
        "ssh_url": f"git@{world.web.partition('//')[2]}:{repo.full_name}.git",
        "issues_url": f"{repo.api}/issues{{/number}}",
        "pulls_url": f"{repo.api}/pulls{{/number}}",
        "default_branch": repo.default_branch,
        "archived": repo.archived,
        "disabled": False,
        "visibility": "private" if repo.private else "public",
        "has_issues": repo.has_issues,
        "open_issues_count": sum(issue.state == "open" for issue in repo.issues.values()),
        "allow_merge_commit": repo.allows["merge"],
        "allow_squash_merge": repo.allows["squash"],
        "allow_rebase_merge": repo.allows["rebase"],
        "created_at": stamp(repo.created_at),
        "updated_at": stamp(repo.created_at),
        "pushed_at": stamp(repo.pushed_at),
    }
    return told | ({"permissions": of_permissions(level)} if level else {})


def of_label(repo: Repository, label: Label) -> Json:
    return {
        "id": label.id,
        "node_id": node_id("Label", label.id),
        "url": f"{repo.api}/labels/{label.name.replace(' ', '%20')}",
        "name": label.name,
        "color": label.color,
        "default": False,
        "description": label.description,
    }


def of_milestone(repo: Repository, milestone: Milestone) -> Json:
    of_it = [issue for issue in repo.issues.values() if issue.milestone is milestone]
    return {
        "url": f"{repo.api}/milestones/{milestone.number}",
        "html_url": f"{repo.html}/milestone/{milestone.number}",
        "labels_url": f"{repo.api}/milestones/{milestone.number}/labels",
        "id": milestone.id,
        "node_id": node_id("Milestone", milestone.id),
        "number": milestone.number,
        "title": milestone.title,
        "description": milestone.description,
        "creator": of_account(repo.world, milestone.creator),
        "open_issues": sum(issue.state == "open" for issue in of_it),
        "closed_issues": sum(issue.state == "closed" for issue in of_it),
        "state": milestone.state,
        "created_at": stamp(milestone.created_at),
        "updated_at": stamp(milestone.updated_at),
        "due_on": stamp(milestone.due_on),
        "closed_at": stamp(milestone.closed_at),
    }


def of_reactions(url: str, reactions: list[Reaction]) -> Json:
    names = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    counts = {name: sum(each.content == name for each in reactions) for name in names}
    return {"url": f"{url}/reactions", "total_count": len(reactions)} | counts


def of_reaction(world: World, reaction: Reaction) -> Json:
    return {
        "id": reaction.id,
        "node_id": node_id("Reaction", reaction.id),
        "user": of_account(world, reaction.user),
        "content": reaction.content,
        "created_at": stamp(reaction.created_at),
    }


def association(repo: Repository, account: Account | None) -> str:
    if account is repo.owner:
        return "OWNER"
    level = repo.permissions.get(account.login.lower(), "none") if account else "none"
    return "COLLABORATOR" if level != "none" else "NONE"


def of_issue(repo: Repository, issue: Issue) -> Json:
    world, url = repo.world, f"{repo.api}/issues/{issue.number}"
    kind = "pull" if issue.pull else "issues"
    told: Json = {
        "url": url,
        "repository_url": repo.api,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{repo.html}/{kind}/{issue.number}",
        "id": issue.id,
        "node_id": node_id("Issue", issue.id),
        "number": issue.number,
        "title": issue.title,
        "user": of_account(world, issue.author),
        "labels": [of_label(repo, label) for label in issue.labels],
        "state": issue.state,
        "state_reason": issue.state_reason,
        "locked": issue.locked,
        "assignee": of_account(world, issue.assignees[0]) if issue.assignees else None,
        "assignees": [of_account(world, account) for account in issue.assignees],
        "milestone": of_milestone(repo, issue.milestone) if issue.milestone else None,
        "comments": len(issue.comments),
        "created_at": stamp(issue.created_at),
        "updated_at": stamp(issue.updated_at),
        "closed_at": stamp(issue.closed_at),
        "closed_by": of_account(world, issue.closed_by),
        "author_association": association(repo, issue.author),
        "active_lock_reason": None,
        "body": issue.body,
        "reactions": of_reactions(url, issue.reactions),
        "performed_via_github_app": None,
    }
    if issue.pull:
        told["draft"] = issue.pull.draft
        told["pull_request"] = {
            "url": f"{repo.api}/pulls/{issue.number}",
            "html_url": f"{repo.html}/pull/{issue.number}",
            "diff_url": f"{repo.html}/pull/{issue.number}.diff",
            "patch_url": f"{repo.html}/pull/{issue.number}.patch",
            "merged_at": stamp(issue.pull.merged_at),
        }
    return told


def of_comment(repo: Repository, comment: Comment) -> Json:
    url, issue = f"{repo.api}/issues/comments/{comment.id}", comment.issue
    page = f"{repo.html}/{'pull' if issue.pull else 'issues'}/{issue.number}"
    return {
        "url": url,
        "html_url": f"{page}#issuecomment-{comment.id}",
        "issue_url": f"{repo.api}/issues/{issue.number}",
        "id": comment.id,
        "node_id": node_id("IssueComment", comment.id),
        "user": of_account(repo.world, comment.author),
        "created_at": stamp(comment.created_at),
        "updated_at": stamp(comment.updated_at),
        "author_association": association(repo, comment.author),
        "body": comment.body,
        "reactions": of_reactions(url, comment.reactions),
        "performed_via_github_app": None,
    }


def _of_end(repo: Repository, branch: str, sha: str) -> Json:
    return {
        "label": f"{repo.owner.login}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": of_account(repo.world, repo.owner),
        "repo": of_repository(repo.world, repo),
    }


def of_pull(repo: Repository, pull: Pull, *, whole: bool = True) -> Json:
    """`whole`: as asked for by its number; lists leave out what has to be computed."""
    issue, world = pull.issue, repo.world
    url = f"{repo.api}/pulls/{issue.number}"
    shared = of_issue(repo, issue)
    kept = ("id", "number", "state", "locked", "title", "user", "body", "labels", "milestone", "assignee")
    kept += ("assignees", "created_at", "updated_at", "closed_at", "html_url", "comments_url")
    told: Json = {name: shared[name] for name in kept} | {
        "url": url,
        "node_id": node_id("PullRequest", pull.id),
        "id": pull.id,
        "diff_url": f"{repo.html}/pull/{issue.number}.diff",
        "issue_url": f"{repo.api}/issues/{issue.number}",
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "statuses_url": f"{repo.api}/statuses/{pull.head_sha}",
        "merged_at": stamp(pull.merged_at),
        "merge_commit_sha": pull.merge_commit,
        "requested_reviewers": [of_account(world, account) for account in pull.requested],
        "requested_teams": [],
        "head": _of_end(repo, pull.head, pull.head_sha),
        "base": _of_end(repo, pull.base, pull.base_sha),
        "author_association": association(repo, issue.author),
        "auto_merge": None,
        "draft": pull.draft,
    }
    if whole:
        mergeable, state = repo.mergeable(pull)
        told |= {
            "merged": pull.merged_at is not None,
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": state,
            "merged_by": of_account(world, pull.merged_by),
            "comments": len(issue.comments),
            "review_comments": len(pull.comments),
            "maintainer_can_modify": False,
            **repo.size_of(pull),
        }
    return told


def of_review(repo: Repository, pull: Pull, review: Review) -> Json:
    page = f"{repo.html}/pull/{pull.issue.number}"
    return {
        "id": review.id,
        "node_id": node_id("PullRequestReview", review.id),
        "user": of_account(repo.world, review.author),
        "body": review.body,
        "state": review.state,
        "html_url": f"{page}#pullrequestreview-{review.id}",
        "pull_request_url": f"{repo.api}/pulls/{pull.issue.number}",
        "submitted_at": stamp(review.submitted_at),
        "commit_id": review.commit,
        "author_association": association(repo, review.author),
    }


def of_review_comment(repo: Repository, pull: Pull, comment: ReviewComment) -> Json:
    url, page = f"{repo.api}/pulls/comments/{comment.id}", f"{repo.html}/pull/{pull.issue.number}"
    told = {
        "url": url,
        "html_url": f"{page}#discussion_r{comment.id}",
        "pull_request_url": f"{repo.api}/pulls/{pull.issue.number}",
        "pull_request_review_id": comment.review.id if comment.review else None,
        "id": comment.id,
        "node_id": node_id("PullRequestReviewComment", comment.id),
        "diff_hunk": "@@ -1 +1 @@",
        "path": comment.path,
        "commit_id": comment.commit,
        "original_commit_id": comment.commit,
        "user": of_account(repo.world, comment.author),
        "body": comment.body,
        "created_at": stamp(comment.created_at),
        "updated_at": stamp(comment.updated_at),
        "author_association": association(repo, comment.author),
        "reactions": of_reactions(url, []),
        "line": comment.line,
        "original_line": comment.line,
        "start_line": None,
        "side": "RIGHT",
        "subject_type": "line" if comment.line else "file",
    }
    return told | ({"in_reply_to_id": comment.reply_to} if comment.reply_to else {})


def of_release(repo: Repository, release: Release) -> Json:
    url = f"{repo.api}/releases/{release.id}"
    return {
        "url": url,
        "html_url": f"{repo.html}/releases/tag/{release.tag_name}",
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "tarball_url": None,
        "zipball_url": None,
        "id": release.id,
        "node_id": node_id("Release", release.id),
        "tag_name": release.tag_name,
        "target_commitish": release.target,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "created_at": stamp(release.created_at),
        "published_at": stamp(release.published_at),
        "author": of_account(repo.world, release.author),
        "assets": [],
    }


def of_hook(repo: Repository, hook: Hook) -> Json:
    return {
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": list(hook.events),
        "config": {
            "url": hook.url,
            "content_type": hook.content_type,
            "insecure_ssl": "0",
            "secret": "********",
        },
        "created_at": stamp(hook.created_at),
        "updated_at": stamp(hook.created_at),
        "url": f"{repo.api}/hooks/{hook.id}",
        "ping_url": f"{repo.api}/hooks/{hook.id}/pings",
        "deliveries_url": f"{repo.api}/hooks/{hook.id}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }
