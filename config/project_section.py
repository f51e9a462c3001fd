"""The `projects:` section out of its layers: orch-config.yaml, registrations, each project's own file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.checks import nearest_mark, set_later
from config.document import Document, KeyPath, dotted
from config.fields import absolute, near
from config.findings import Findings
from config.layers import Layer, merge, section
from config.names import name_problem, suggest_name
from config.problems import Mark
from config.settings import ProjectSettings

OWN_FILE = Path(".orch-state") / "config.yaml"
# A checkout's own file comes with the repository: it cannot say who it is, how it is fenced in, who gets its
# secrets, who decides about it, nor what comes before other projects' work.
NOT_OWN = (
    "name",
    "path",
    "isolation",
    "isolation_by_role",
    "container_image",
    "network_allow",
    "setup_network_allow",
    "agent_secrets",
    "test_secrets",
    "approvals",
    "risk_limits",  # whoever can merge a file into it would decide who has to look at what is merged
    "budgets",
    "priority",
    "prompts_path",
    "github",
)
_ANY = object()
NOT_OWN_INSIDE = {  # of a section; a value: only that
    ("resource_limits", "cpu_priority"): _ANY,
    ("resource_limits", "guaranteed_agents"): _ANY,
    ("ai_settings", "auto_approve_low_risk"): True,  # it may ask for more eyes, not for fewer
    ("ai_settings", "require_human_review"): False,
}


@dataclass(slots=True)
class Projects:
    """`later`: a project's keys that are not in force. `unregistered`: configured, but without a path yet
    (that of its settings means nothing). `owners`: the files that are about one project only, to its name.
    """

    settings: dict[str, ProjectSettings] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    later: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unregistered: dict[str, ProjectSettings] = field(default_factory=dict)
    owners: dict[str, set[str]] = field(default_factory=dict)

    def drop(self, name: str) -> None:
        for table in (self.settings, self.layers, self.later, self.unregistered):
            table.pop(name, None)


def read_projects(
    findings: Findings,
    root: Path,
    defaults: Document,
    document: Document,
    registered: Mapping[str, Document],
    overrides: Document,
) -> Projects:
    """Every project that a layer names. Mistakes go into `findings`."""
    found = Projects()
    named = section(document, "projects")
    extra = section(overrides, "projects")
    for name in dict.fromkeys([*named.data, *registered, *extra.data]):
        file = registered[name].file if name in registered else document.file
        place = named.marks.get((name,)) or extra.marks.get((name,)) or Mark(file=file, line=1, column=1)
        if name in registered:
            found.owners.setdefault(file, set()).add(name)
            if registered[name].broken:
                continue
        if problem := name_problem(name):
            findings.fail(place, f"projects.{name}", f"the name {problem}; '{suggest_name(name)}' would do")
        layers = (
            section(document, "projects", name),
            section(registered[name]) if name in registered else Layer(),
            section(overrides, "projects", name),
        )
        _compare_paths(findings, root, name, layers)
        _read_project(
            findings, found, root, name, place, section(defaults, "project_defaults").unmarked(), layers
        )
    _check_paths(findings, found)
    _check_dependencies(findings, found, (*named.data, *registered, *extra.data))
    return found


def read_own(findings: Findings, checkout: Path) -> Layer:
    """A checkout's own settings. Keys that it may not decide are reported and left out."""
    path = checkout / OWN_FILE
    if not os.path.lexists(path):
        return Layer()
    if not os.path.realpath(path).startswith(f"{os.path.realpath(checkout)}/"):  # unlike resolve, takes loops
        findings.fail(Mark(file=str(path)), "", "is a link that leads out of the project")
        return Layer()
    document = findings.read(path)
    data = dict(document.data)
    refused: list[KeyPath] = [(key,) for key in NOT_OWN if key in data]
    for (name, key), value in NOT_OWN_INSIDE.items():
        inner = data.get(name)
        if isinstance(inner, Mapping) and key in inner and value in (_ANY, inner[key]):
            refused.append((name, key))
            data[name] = {other: each for other, each in inner.items() if other != key}
    for place in refused:
        sentence = "is not the project's own to set: it belongs in orch-config.yaml"
        findings.fail(document.marks[place], dotted(place), sentence)
    data = {key: value for key, value in data.items() if key not in NOT_OWN}
    return section(document).but(data)


def _read_project(
    findings: Findings,
    found: Projects,
    root: Path,
    name: str,
    place: Mark,
    defaults: Layer,
    layers: tuple[Layer, Layer, Layer],
) -> None:
    written, registration, override = (layer.cleaned(ProjectSettings) for layer in layers)
    checkout = _checkout(root, merge(written, registration, override).data.get("path"))
    if checkout:
        found.owners.setdefault(str(checkout / OWN_FILE), set()).add(name)
    own = read_own(findings, checkout).cleaned(ProjectSettings) if checkout else Layer()
    said = merge(written, registration, own, override)
    merged = merge(defaults, said)
    data = {"name": name, **merged.data}
    if data["name"] != name:
        mark = nearest_mark(("name",), merged.marks, place)
        findings.fail(mark, f"projects.{name}.name", f"should be {name!r} as its key, not {data['name']!r}")
    has_path = "path" in data
    try:
        settings = ProjectSettings.model_validate(data if has_path else {**data, "path": root})
    except ValidationError as error:
        findings.complain(error, ProjectSettings, ("projects", name), merged, place)
        return
    found.later[name] = tuple(set_later(ProjectSettings, said.data))
    if has_path:
        prompts = settings.prompts_path
        found.settings[name] = settings.model_copy(
            update={
                "path": absolute(settings.path, root),
                "prompts_path": None if prompts is None else absolute(prompts, root),
            }
        )
        found.layers[name] = merged
    else:
        found.unregistered[name] = settings
        findings.notes.append(f"{place}: {name} has no path yet: orchard register {name} PATH")


def _checkout(root: Path, path: Any) -> Path | None:
    """The folder that a path leads to, if it does; what is wrong with it is said elsewhere."""
    if not isinstance(path, str | Path) or "\0" in str(path):
        return None
    folder = absolute(Path(os.path.expanduser(path)), root)  # noqa: PTH111 - unlike Path's, it never raises
    return folder if os.path.isdir(folder) else None  # noqa: PTH112 - unlike Path's, it never raises


def _compare_paths(findings: Findings, root: Path, name: str, layers: tuple[Layer, Layer, Layer]) -> None:
    """A registration wins over orch-config.yaml; a person who edits the latter should know."""
    written, registration, _ = (layer.data.get("path") for layer in layers)
    if isinstance(written, str) and isinstance(registration, str):
        places = [os.path.realpath(root / path) for path in (written, registration) if "\0" not in path]
        if len(set(places)) > 1:
            mark = layers[1].marks[("path",)]
            findings.notes.append(f"{mark}: the registered path of {name} wins over orch-config.yaml's.")


def _check_paths(findings: Findings, found: Projects) -> None:
    """Two projects in one checkout, or one in another, would work on the same files."""
    owners: dict[str, str] = {}
    places = {name: os.path.realpath(settings.path) for name, settings in found.settings.items()}
    for name, place in places.items():
        if (owner := owners.setdefault(place, name)) != name:
            mark = found.layers[name].marks[("path",)]
            findings.fail(mark, f"projects.{name}.path", f"is the checkout of project {owner} too: {place}")
    for name, place in places.items():
        for outer in Path(place).parents:
            if owner := owners.get(str(outer), ""):
                mark = found.layers[name].marks[("path",)]
                findings.fail(mark, f"projects.{name}.path", f"lies inside project {owner} ({outer})")
                break


def _check_dependencies(findings: Findings, found: Projects, known: tuple[str, ...]) -> None:
    for name, settings in found.settings.items():
        for number, needed in enumerate(settings.dependencies):
            place = ("dependencies", number)
            mark = nearest_mark(place, found.layers[name].marks, Mark(file="?"))
            key = f"projects.{name}.dependencies[{number}]"
            if needed == name:
                findings.fail(mark, key, "is the project itself")
            elif needed not in known:
                findings.fail(mark, key, f"there is no project {needed!r}{near(needed, known)}")
