"""The `github:` sections: how Orchard reaches GitHub, and what a project does with its repository."""

from __future__ import annotations

import re
from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from config.fields import Bool, HttpAddress, Int, Number, Text
from config.section import Section

_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")


class MergeBy(StrEnum):
    ORCHARD = "orchard"
    GITHUB = "github"


class Delivery(StrEnum):
    """How a story's work reaches the main branch."""

    PULL_REQUEST = "pull_request"
    DIRECT = "direct"


class MergeMethod(StrEnum):
    SQUASH = "squash"
    REBASE = "rebase"
    MERGE = "merge"


class Permission(StrEnum):
    """GitHub's, of a person in a repository, least first."""

    NONE = "none"
    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    def reaches(self, least: Permission) -> bool:
        order = list(Permission)
        return order.index(self) >= order.index(least)


class GithubSettings(Section):
    """`github:` under `global:`. The credential is not here: GITHUB_TOKEN, or an app's key."""

    api_url: HttpAddress = Field(
        "https://api.github.com",
        description="GitHub's API; GitHub Enterprise: https://HOST/api/v3.",
    )
    app_id: Int | None = Field(
        None, ge=1, le=2**53, description="A GitHub App in place of GITHUB_TOKEN: its id."
    )
    app_installation_id: Int | None = Field(
        None, ge=1, le=2**53, description="Its installation; null: the one of each repository."
    )
    app_private_key_file: Text | None = Field(
        None, description="Its private key, PEM, mode 0600; relative to the folder of orch-config.yaml."
    )
    poll_seconds: Number = Field(
        60, ge=1, le=86400, description="Each repository is asked for news this often, without webhooks."
    )
    poll_seconds_with_webhooks: Number = Field(
        600, ge=1, le=86400, description="Likewise where webhooks arrive: it fills their gaps."
    )
    request_seconds: Number = Field(
        20, ge=0.1, le=600, description="GitHub has to answer a request within this time."
    )
    webhook_max_body_kb: Int = Field(
        5120,
        ge=1,
        le=25600,
        description="What a webhook's delivery may carry, in KB; GitHub sends 25 MB at most.",
    )
    webhooks_per_minute: Int = Field(
        30000,
        ge=1,
        le=10**6,
        description="Deliveries of one address; an unsigned one counts as fifty. The rest has to wait.",
    )

    @model_validator(mode="after")
    def _app_is_whole(self) -> GithubSettings:
        if (self.app_id is None) != (self.app_private_key_file is None):
            raise ValueError("app_id and app_private_key_file should both be set, or neither")
        if self.app_installation_id is not None and self.app_id is None:
            raise ValueError("app_installation_id is set, but no app_id")
        return self


class ProjectGithub(Section):
    """`github:` of a project."""

    repository: Text | None = Field(
        None, description="OWNER/NAME; null: what `/github link` names, or no repository."
    )
    token_secret: Text | None = Field(
        None, description="The project's secret with a token of its own (`orchard secrets`); null: Orchard's."
    )
    webhook_secret: Text | None = Field(
        None,
        description="The project's secret with which its webhook signs, beside Orchard's own "
        "GITHUB_WEBHOOK_SECRET; null: with that alone.",
    )
    label: Text | None = Field(
        "orchard", max_length=50, description="Open issues with this label become stories; null: by no label."
    )
    milestone: Text | None = Field(
        None, max_length=200, description="So do those in this milestone (its title)."
    )
    assigned: Bool = Field(False, description="So do those that are assigned to Orchard's own account.")
    create_issues: Bool = Field(
        False, description="Stories that come from elsewhere get an issue, with the label."
    )
    milestones_as_sprints: Bool = Field(
        True,
        description="A sprint has a milestone; an open milestone whose stories wait is planned as the next "
        "sprint when none is. A person starts it.",
    )
    steer_permission: Permission = Field(
        Permission.WRITE,
        description="Who may steer an agent by a comment that begins with Orchard's name: whose permission "
        "in the repository is at least this. none: everybody who can comment.",
    )
    progress_comment: Bool = Field(True, description="One comment on the issue, edited as the story goes on.")
    state_labels: Bool = Field(True, description="Labels `orchard: ...` show how a story stands.")
    close_issues: Bool = Field(True, description="An issue is closed when its story is done.")
    deliver: Delivery = Field(
        Delivery.PULL_REQUEST,
        description="pull_request: each story is a pull request and goes in when its checks have passed; "
        "direct: it is pushed to the main branch when Orchard's own gates have passed.",
    )
    merge_by: MergeBy = Field(
        MergeBy.ORCHARD,
        description="orchard: its merge queue pushes to the main branch; github: GitHub merges, by its own "
        "rules.",
    )
    merge_method: MergeMethod = Field(
        MergeMethod.SQUASH, description="How GitHub merges: squash, rebase, merge."
    )
    approvals: Int = Field(0, ge=0, le=10, description="Approving reviews that a pull request needs.")
    up_to_date: Bool = Field(
        False,
        description="The checks have to have passed on top of the newest main branch; false: Orchard's own "
        "gate has.",
    )
    check_failures: Int = Field(
        3, ge=1, le=100, description="When the checks failed this often in a row, people are asked."
    )
    checks_begin_seconds: Number = Field(
        60, ge=0, le=86400, description="A pull request without any check after this time has none."
    )
    checks_minutes: Number = Field(
        120, gt=0, le=10080, description="When checks take longer, people are asked."
    )
    release_notes: Bool = Field(
        False, description="A draft release with the merged stories when a sprint ends."
    )

    @field_validator("repository")
    @classmethod
    def _is_a_repository(cls, value: str | None) -> str | None:
        return None if value is None else check_repository(value)


def check_repository(text: str) -> str:
    """OWNER/NAME, also out of an address of the repository's page. Raises ValueError."""
    name = re.sub(r"^(https?://[^/]+/|git@[^:]+:)", "", text.strip()).removesuffix("/").removesuffix(".git")
    if not _REPOSITORY.fullmatch(name) or name.rpartition("/")[2] in (".", ".."):
        raise ValueError(f"should be OWNER/NAME, as in the repository's address, not {text[:80]!r}")
    return name
