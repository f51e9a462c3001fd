"""A repository: everything that can be done with it, in one value."""

from __future__ import annotations

from tests.github_server.bare import create_bare
from tests.github_server.pull_desk import PullDesk
from tests.github_server.world import Refusal, World


class Repository(PullDesk):
    """What tests and the API's handlers change; see the desks."""


def create_repository(
    world: World, name: str, *, private: bool = False, default_branch: str = "main", kind: str = "User"
) -> Repository:
    """OWNER/NAME, empty, with a bare git repository. Raises Refusal when there is one."""
    login, _, own = name.partition("/")
    if world.repositories.get(world.names.get(name.lower(), 0)):
        raise Refusal(422, "name already exists on this account")
    number = next(world.ids)
    repository = Repository(
        id=number,
        owner=world.account(login, kind),
        name=own,
        world=world,
        git=create_bare(world.folder / f"{number}.git", default_branch),
        created_at=world.now(),
        private=private,
        default_branch=default_branch,
    )
    world.repositories[number] = repository
    world.names[name.lower()] = number
    return repository


def move_repository(world: World, repository: Repository, name: str) -> None:
    """Renamed, or transferred to another owner: the old name leads to the new one."""
    before, owner = repository.full_name, repository.owner
    login, _, own = name.partition("/")
    repository.owner, repository.name = world.account(login), own
    world.names[name.lower()] = repository.id
    old_owner = {"user": {"login": owner.login, "id": owner.id}}
    if repository.owner is owner:
        changes = {"repository": {"name": {"from": before.partition("/")[2]}}}
        repository.tell("repository", "renamed", None, changes=changes)
    else:
        repository.tell("repository", "transferred", None, changes={"owner": {"from": old_owner}})


def delete_repository(world: World, repository: Repository) -> None:
    """404 from now on, also by its id."""
    repository.tell("repository", "deleted", None)
    del world.repositories[repository.id]
    world.names = {name: number for name, number in world.names.items() if number != repository.id}
