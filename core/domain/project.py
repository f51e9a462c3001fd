"""A registered project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.domain.lifecycles import ProjectStatus, WorkflowState


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`name` is unique and is the project's identity everywhere (channel, branch, worktree folder)."""

    name: str
    path: Path  # the registered checkout
    main_branch: str
    status: ProjectStatus
    workflow: WorkflowState
    registered_at: datetime
