"""What settings say of shares, held against each other: places, guarantees, an agent's needs."""

from __future__ import annotations

from collections.abc import Collection

from config.checks import nearest_mark
from config.document import KeyPath
from config.fields import near
from config.findings import Findings
from config.layers import Layer
from config.problems import Mark
from config.project_section import Projects
from config.settings import GlobalSettings, ProjectSettings

_MB_A_GB = 1024
_LIMITS = "resource_limits"
_AGENT_MEMORY: KeyPath = (_LIMITS, "agent_memory_mb")


def check_shares(findings: Findings, general: GlobalSettings, origin: Layer, projects: Projects) -> None:
    """Mistakes and notes go into `findings`. `origin`: where the global settings come from."""
    for name, settings in projects.settings.items():
        place = _Place(name, projects.layers[name], projects.owners)
        _check_places(findings, general, settings, place)
        _check_agent(findings, general, settings, place)
    _note_guarantees(findings, general, origin, projects)


class _Place:
    """Where a project's keys stand."""

    def __init__(self, name: str, layer: Layer, own_files: Collection[str]) -> None:
        self.name = name
        self._layer = layer
        self._own = own_files

    def fail(self, findings: Findings, sentence: str, *keys: KeyPath) -> None:
        """At the first of `keys` that somebody wrote; but where one stands in a file of the project's own,
        there: what a repository brings along keeps no other project from working."""
        marks = self._layer.marks
        written = [key for key in keys if key in marks] or [keys[0]]
        key = next((key for key in written if key in marks and marks[key].file in self._own), written[0])
        mark = nearest_mark(key, marks, marks.get(("path",), Mark(file="settings")))
        findings.fail(mark, ".".join(["projects", self.name, *map(str, key)]), sentence)


def _check_places(
    findings: Findings, general: GlobalSettings, settings: ProjectSettings, place: _Place
) -> None:
    known = general.shared_resources
    for resource, wanted in settings.shared_resources.items():
        key = ("shared_resources", resource)
        if resource not in known:
            hint = near(resource, known) or (
                f"; there are {', '.join(known)}" if known else ": global.shared_resources names none"
            )
            place.fail(findings, f"there is no shared resource {resource!r}{hint}", key)
        elif wanted > known[resource]:
            sentence = (
                f"takes {wanted} places a story, and global.shared_resources has {known[resource]}: no story "
                "could ever start"
            )
            place.fail(findings, sentence, key)


def _check_agent(
    findings: Findings, general: GlobalSettings, settings: ProjectSettings, place: _Place
) -> None:
    """What one agent is counted with, and what is guaranteed, has to fit into the project's own limits."""
    limits = settings.resource_limits
    memory, cores = limits.agent_memory_mb, limits.agent_cpu_cores
    never = "no agent could ever start"
    if memory is not None and memory > limits.max_memory_mb:
        sentence = f"agent_memory_mb ({memory}) is more than max_memory_mb ({limits.max_memory_mb}): {never}"
        place.fail(findings, sentence, _AGENT_MEMORY, (_LIMITS, "max_memory_mb"))
    ceiling = general.global_memory_limit_gb
    if memory is not None and ceiling is not None and memory > ceiling * _MB_A_GB:
        there = f"global.global_memory_limit_gb ({ceiling:g})"
        place.fail(findings, f"agent_memory_mb ({memory}) is more than {there}: {never}", _AGENT_MEMORY)
    for most, whose in (
        (limits.max_cpu_cores, "max_cpu_cores"),
        (general.global_cpu_cores, "global.global_cpu_cores"),
    ):
        if most is not None and cores > most:
            sentence = f"agent_cpu_cores ({cores:g}) is more than {whose} ({most:g}): {never}"
            place.fail(findings, sentence, (_LIMITS, "agent_cpu_cores"), (_LIMITS, "max_cpu_cores"))
    if limits.guaranteed_agents > limits.max_parallel_agents:
        sentence = (
            f"guaranteed_agents ({limits.guaranteed_agents:g}) is more than max_parallel_agents "
            f"({limits.max_parallel_agents}): so many never work at once"
        )
        place.fail(findings, sentence, (_LIMITS, "guaranteed_agents"), (_LIMITS, "max_parallel_agents"))


def _note_guarantees(findings: Findings, general: GlobalSettings, origin: Layer, projects: Projects) -> None:
    """More is promised than there is: no mistake, since not all projects work at once; but to be known."""
    promised = {
        name: limits.guaranteed_agents
        for name, settings in projects.settings.items()
        if (limits := settings.resource_limits).guaranteed_agents
    }
    total = sum(promised.values())
    if total > general.max_total_agents:
        first = projects.layers[next(iter(promised))].marks
        there = nearest_mark((_LIMITS, "guaranteed_agents"), first, Mark(file="settings"))
        mark = nearest_mark(("max_total_agents",), origin.marks, there)
        findings.notes.append(
            f"{mark}: {total:g} agents are guaranteed to {', '.join(promised)}, and max_total_agents is "
            f"{general.max_total_agents}: while all of them work, each guarantee is cut alike."
        )
