"""PURE: what an agent's sandbox shows and lets it write, from the rights of its role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from core.agents.roles import Rights, Role, spec_path
from core.agents.setup import AgentSetup, ModelAccess
from core.isolation.egress.named_hosts import loopback_ports_in, rules_in_environment
from core.isolation.plan import DEFAULT_PATH, Door, Level, Limits, Sandbox
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment

# Files that hold more than the runner's configuration: writable, and the gate compares the runner's own part.
_SHARED_CONFIGURATION = frozenset(
    {
        "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "package.json", "Cargo.toml", "go.mod",
        "pom.xml", "build.gradle", "build.gradle.kts", "Gemfile", "composer.json", "mix.exs",
        "CMakeLists.txt", "Makefile",
    }
)  # fmt: skip
_ANY_NAME = "any-file-there"


def protected_paths(
    paths: Iterable[str], rights: Rights, is_runner_config: Callable[[str], bool]
) -> tuple[str, ...]:
    """What of a tree the role may not write, as few paths as possible.

    A folder in which the role may not write any name stands for all that it holds, so that nothing can be
    added to it either.
    """
    found: dict[str, None] = {}
    forbidden: dict[str, bool] = {}
    for path in paths:
        for parent in reversed(PurePosixPath(path).parents[:-1]):
            name = str(parent)
            if name not in forbidden:
                forbidden[name] = not rights.may_write(f"{name}/{_ANY_NAME}")
            if forbidden[name]:
                found[name] = None
                break
        else:
            own = PurePosixPath(path).name not in _SHARED_CONFIGURATION
            if not rights.may_write(path) or (own and is_runner_config(path)):
                found[path] = None
    return tuple(found)


def network_rules(setup: ProjectSetup, agent: AgentSetup, *, at_gateway: bool) -> tuple[str, ...]:
    """The allow-list of an agent: the project's, and the way to its models where it asks them itself."""
    direct = () if at_gateway else (*agent.network_allow, *rules_in_environment(agent.environment))
    return tuple(dict.fromkeys((*setup.network_allow, *direct)))


def loopback_ports(agent: AgentSetup, model: ModelAccess | None) -> tuple[int, ...]:
    """The ports of this machine that its row points an agent to, and the model gateway's."""
    texts = [*agent.argv, *agent.environment.values(), *agent.home_files.values()]
    return loopback_ports_in([*texts, model.base_url] if model is not None else texts)


def agent_sandbox(
    setup: ProjectSetup,
    agent: AgentSetup,
    environment: Environment,
    rights: Rights,
    *,
    worktree: Path,
    git_folder: Path,
    home: Path,
    protected: Iterable[str],
    variables: Mapping[str, str],
    doors: tuple[Door, ...] = (),
) -> Sandbox:
    """The sandbox of a turn. `variables` are the agent's own; PATH and the environment's are added.

    design writes its spec only; qa writes everywhere in the worktree and the gate says what was too much;
    code may not write `protected`. The repository's git folder is shown read-only, so that `git diff` and
    `git log` work and `git commit` does not. At level `network` the `doors` are all that it reaches.
    """
    level = Level(setup.isolation_of(rights.role))
    read_only = [git_folder, worktree / ".git", *agent.read_only_paths, *environment.read_only]
    writable = [worktree]
    if rights.role is Role.DESIGN:
        read_only.append(worktree)
        writable = [(worktree / spec_path(rights.story_id)).parent]
    elif rights.role is not Role.QA:
        read_only += [worktree / ".orch-state", *(worktree / path for path in protected)]
    added = environment.variables_at(worktree)
    paths = [*(str(path) for path in environment.path_dirs), variables.get("PATH", DEFAULT_PATH)]
    return Sandbox(
        level=level,
        cwd=worktree,
        home=home,
        writable=tuple(writable),
        read_only=tuple(read_only),
        mounts=environment.mounts_at(worktree) if level is not Level.PROCESS else (),
        environment={**added, **variables, "PATH": ":".join(paths)},
        image=setup.container_image,
        network=True,
        doors=doors,
        limits=Limits(memory_mb=setup.memory_mb, processes=1024, open_files=4096),
        project=setup.name,
    )
