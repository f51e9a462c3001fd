"""A story's folder made ready for a person."""

from __future__ import annotations

from core.ids import branch_of
from core.worker.contract import OpenedWorktree, OpenWorktree
from core.worker.workshop import Services, Workshop


async def open_worktree(job: OpenWorktree, services: Services) -> OpenedWorktree:
    """The worktree on its branch where the story stands.

    What an agent left there stays, for the person to go on with; where there is none, or where the story was
    sent back since, it is set to the story's commit. Raises GitFailed.
    """
    shop = await Workshop.open(job.project, services)
    base = job.base_commit or await shop.repository.main_commit(job.project.main_branch)
    commit, story = job.head_commit or base, job.story
    with services.busy.within(story.id):
        if await shop.repository.resolve(f"refs/heads/{branch_of(story.id)}") == commit:
            adopted = await shop.worktrees.adopt(story.id, commit, spec=story.spec, phase=job.phase)
            salvages, path = adopted.salvages, adopted.worktree.path
        else:
            prepared = await shop.worktrees.ensure(story.id, commit, spec=story.spec, phase=job.phase)
            salvages, path = (prepared.salvage,) if prepared.salvage else (), prepared.worktree.path
        shop.worktrees.note_taken(story.id)
    for salvage in salvages:
        await services.tell.salvaged(salvage)
    return OpenedWorktree(path=path, base_commit=base)
