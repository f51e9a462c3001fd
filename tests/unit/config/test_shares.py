"""Settings of shares, held against each other."""

from __future__ import annotations

import pytest

GENERAL = (
    "global: {shared_resources: {staging-db: 2, gpu: 1}, global_memory_limit_gb: 4, global_cpu_cores: 2}\n"
)


def shop(*lines: str) -> str:
    return "\n".join([GENERAL.rstrip(), "projects:", "  shop:", "    path: shop", *lines, ""])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "shared_resources: {stagingdb: 1}",
            "5:24: projects.shop.shared_resources.stagingdb: there is no shared resource 'stagingdb' (did "
            "you mean 'staging-db'?)",
        ),
        (
            "shared_resources: {gpu: 2}",
            "5:24: projects.shop.shared_resources.gpu: takes 2 places a story, and global.shared_resources "
            "has 1: no story could ever start",
        ),
        (
            "resource_limits: {agent_memory_mb: 2048, max_memory_mb: 1024}",
            "5:23: projects.shop.resource_limits.agent_memory_mb: agent_memory_mb (2048) is more than "
            "max_memory_mb (1024): no agent could ever start",
        ),
        (
            "resource_limits: {max_memory_mb: 9000, agent_memory_mb: 8192}",
            "5:44: projects.shop.resource_limits.agent_memory_mb: agent_memory_mb (8192) is more than "
            "global.global_memory_limit_gb (4): no agent could ever start",
        ),
        (
            "resource_limits: {max_cpu_cores: 0.05}",
            "5:23: projects.shop.resource_limits.max_cpu_cores: agent_cpu_cores (0.1) is more than "
            "max_cpu_cores (0.05): no agent could ever start",
        ),
        (
            "resource_limits: {agent_cpu_cores: 3}",
            "5:23: projects.shop.resource_limits.agent_cpu_cores: agent_cpu_cores (3) is more than "
            "global.global_cpu_cores (2): no agent could ever start",
        ),
        (
            "resource_limits: {guaranteed_agents: 4}",
            "5:23: projects.shop.resource_limits.guaranteed_agents: guaranteed_agents (4) is more than "
            "max_parallel_agents (3): so many never work at once",
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_place(refused, line, problem):
    assert refused(shop(f"    {line}")) == [f"orch-config.yaml:{problem}"]


def test_what_fits_is_taken(folder):
    folder.write(
        shop(
            "    shared_resources: {staging-db: 2, gpu: 1}",
            "    resource_limits: {agent_memory_mb: 1024, max_memory_mb: 1024, guaranteed_agents: 3,",
            "      agent_cpu_cores: 2, max_cpu_cores: 2}",
        )
    )
    loaded = folder.load()
    assert loaded.settings.projects["shop"].shared_resources == {"staging-db": 2, "gpu": 1}
    assert loaded.notes == ()


def test_more_guarantees_than_agents_are_noted(folder):
    limits = "resource_limits: {guaranteed_agents: 3}"
    folder.write(
        "global:\n  max_total_agents: 5\nprojects:\n"
        f"  shop: {{path: shop, {limits}}}\n  bank: {{path: bank, {limits}}}\n"
    )
    [note] = folder.load().notes
    assert note == (
        f"{folder.root}/orch-config.yaml:2:3: 6 agents are guaranteed to shop, bank, and max_total_agents is "
        "5: while all of them work, each guarantee is cut alike."
    )


def test_what_a_repository_brings_along_leaves_out_only_itself(folder):
    folder.write(
        "projects:\n  shop: {path: shop, resource_limits: {agent_memory_mb: 512}}\n  bank: {path: bank}\n"
    )
    folder.write("resource_limits: {max_memory_mb: 256}\n", "shop/.orch-state/config.yaml")
    [problem] = folder.broken()["shop"]
    assert problem.startswith(
        "shop/.orch-state/config.yaml:1:19: projects.shop.resource_limits.max_memory_mb"
    )
    assert list(folder.load().settings.projects) == ["bank"]


@pytest.mark.parametrize(
    "line",
    ["priority: critical", "resource_limits: {cpu_priority: 100}", "resource_limits: {guaranteed_agents: 9}"],
)
def test_a_repository_cannot_put_itself_before_others(folder, line):
    folder.write("projects:\n  shop: {path: shop}\n")
    folder.write(f"{line}\n", "shop/.orch-state/config.yaml")
    [problem] = folder.broken()["shop"]
    assert "is not the project's own to set: it belongs in orch-config.yaml" in problem
