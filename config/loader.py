"""Loading: defaults, orch-config.yaml, registrations, each project's own file, environment and `.env`.

Nothing is written here, whatever is found. Every mistake is reported at once, in one ConfigError.

A mistake in a file that is about one project only, its registration or its checkout's own file (which a
merged story can change), leaves that project out and keeps none of the others from working.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter, ValidationError

from config.checks import nearest_mark
from config.document import Document, KeyPath, dotted, read_document
from config.environment import CONFIG_FILE, Variables, read_variables
from config.fields import HttpAddress, SocketAddress, absolute, is_secret_address, near
from config.findings import Findings
from config.global_section import read_global
from config.layers import Layer, section, spoken
from config.problems import ConfigError, Mark, Problem, unreadable
from config.project_section import OWN_FILE, Projects, read_own, read_projects
from config.settings import GlobalSettings, ProjectSettings, Settings
from config.shares import check_shares

CONFIG_NAME = "orch-config.yaml"
REGISTRATIONS = "projects.d"

_HERE = Path(__file__).parent
_LONG_SECRET = 16  # characters
_TOP = ("global", "projects", "agents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What was loaded.

    `not_in_force`: "global" and project names to the dotted keys that people set and whose feature is not
    there yet. `sources`: the files read, the lowest layer first. `unregistered`: projects that are configured
    but have no path yet (that of these settings means nothing); registering one supplies it. `broken`: the
    projects that are left out of the settings because of their own files. `notes`: sentences worth showing,
    none an error. `origins`: "global" and project names to where each key that somebody set stands.
    """

    settings: Settings
    root: Path
    config_file: Path
    state_path: Path
    not_in_force: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()
    unregistered: Mapping[str, ProjectSettings] = field(default_factory=dict)
    broken: Mapping[str, ConfigError] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    origins: Mapping[str, Mapping[KeyPath, Mark]] = field(default_factory=dict)


def load(
    root: Path, *, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Configuration:
    """The settings of the Orchard whose orch-config.yaml stands in `root` (it may have none).

    `environ` is the process's environment; `overrides` has the shape of orch-config.yaml and wins over
    everything. Raises ConfigError, which holds every mistake found, unless all of them are in files of single
    projects: those are left out as `broken`.
    """
    root, findings = root.absolute(), Findings()
    if not root.is_dir():
        findings.fail(Mark(file=str(root)), "", "is not a folder")
        raise ConfigError(tuple(findings.problems))
    variables = read_variables(root / ".env", environ)
    findings.problems += variables.problems
    defaults = findings.take(*_shipped("defaults.yaml"))
    config_file = _config_file(findings, root, variables)
    document = _checked_top(findings, findings.read(config_file))
    extra = _checked_top(findings, spoken(overrides or {}, "command line"))
    settings, origin, later = read_global(findings, defaults, document, variables, extra)
    state_path = absolute(settings.global_state_path, root)
    # With orch-config.yaml unreadable nobody knows where Orchard's own folder is.
    registered = {} if document.broken else read_registrations(findings, state_path)
    projects = read_projects(findings, root, defaults, document, registered, extra)
    agents = {**section(document, "agents").data, **section(extra, "agents").data}
    known = [*section(findings.take(*_shipped("agents.yaml")), "agents").data, *agents]
    _check_agent(findings, settings.default_agent, "global", ("default_agent",), origin, known)
    for name, project in projects.settings.items():
        named: dict[KeyPath, str | None] = {("agent",): project.agent}
        named |= {("agents_by_role", role): agent for role, agent in project.agents_by_role.items()}
        named |= {("agent_fallbacks", place): agent for place, agent in enumerate(project.agent_fallbacks)}
        for path, agent in named.items():
            _check_agent(findings, agent, f"projects.{name}", path, projects.layers[name], known)
    check_shares(findings, settings, origin, projects)
    discord = _discord(findings, variables)
    github_token = _github_token(findings, variables)
    alerts = _alerts(findings, variables, settings.monitoring_webhook_url)
    if any(problem.mark.file not in projects.owners for problem in findings.problems):
        raise ConfigError(findings.ordered(str(source) for source in findings.sources))
    broken = _broken(findings, projects)
    for name in broken:
        projects.drop(name)
    return Configuration(
        settings=Settings(
            global_=settings.model_copy(update={"global_state_path": state_path}),
            projects=projects.settings,
            agents=agents,
            discord_token=discord["DISCORD_TOKEN"],
            discord_api_url=discord["DISCORD_API_URL"],
            discord_gateway_url=discord["DISCORD_GATEWAY_URL"],
            github_token=github_token,
            github_webhook_secrets=_webhook_secrets(findings, variables),
            **alerts,
        ),
        root=root,
        config_file=config_file,
        state_path=state_path,
        not_in_force={name: keys for name, keys in {"global": later, **projects.later}.items() if keys},
        sources=(*findings.sources, *((root / ".env",) if variables.read_file else ())),
        unregistered=projects.unregistered,
        broken=broken,
        notes=tuple(findings.notes),
        origins={"global": origin.marks, **{name: each.marks for name, each in projects.layers.items()}},
    )


@cache
def _shipped(name: str) -> tuple[Path, Document | None]:
    """A file of the program itself, read once as its modules are: reading it takes most of a load's time."""
    return _HERE / name, read_document(_HERE / name)


def _broken(findings: Findings, projects: Projects) -> dict[str, ConfigError]:
    problems: dict[str, list[Problem]] = {}
    for problem in findings.ordered(str(source) for source in findings.sources):
        for name in sorted(projects.owners[problem.mark.file]):
            problems.setdefault(name, []).append(problem)
    return {name: ConfigError(tuple(found), project=name) for name, found in problems.items()}


def read_own_file(checkout: Path) -> ProjectSettings:
    """What a checkout's own `.orch-state/config.yaml` says; the rest are defaults. Raises ConfigError."""
    findings = Findings()
    own = read_own(findings, checkout).cleaned(ProjectSettings)
    settings = None
    try:
        settings = ProjectSettings.model_validate({**own.data, "name": checkout.name, "path": str(checkout)})
    except ValidationError as error:
        findings.complain(error, ProjectSettings, (), own, Mark(file=str(checkout / OWN_FILE)))
    if findings.problems or settings is None:
        raise ConfigError(findings.ordered(()))
    return settings


def read_registrations(findings: Findings, state_path: Path) -> dict[str, Document]:
    """Project name to its file in projects.d. What is wrong with a file is reported."""
    folder = state_path / REGISTRATIONS
    found: dict[str, Document] = {}
    try:
        if not folder.exists():
            return found
        files = sorted(each for each in folder.iterdir() if each.suffix == ".yaml" and each.name[0] != ".")
    except OSError as error:
        findings.problems.append(unreadable(folder, error))
        return found
    for path in files:
        found[path.stem] = findings.read(path)
    return found


def _config_file(findings: Findings, root: Path, variables: Variables) -> Path:
    named = variables.values.get(CONFIG_FILE)
    if named is None:
        return root / CONFIG_NAME
    path = absolute(Path(os.path.expanduser(named)), root)  # noqa: PTH111 - unlike Path's, it never raises
    if not os.path.lexists(path):
        findings.fail(variables.marks[CONFIG_FILE], CONFIG_FILE, f"there is no file {path}")
    return path


def _checked_top(findings: Findings, document: Document) -> Document:
    """The document with everything at its top that has the wrong name or shape reported and left out."""
    top: dict[str, Any] = {}
    for key, value in document.data.items():
        mark = document.marks[(key,)]
        if key in _TOP:
            top[key] = findings.mapping(value, mark, key)
        elif key in GlobalSettings.model_fields:
            top[key] = value
        else:
            findings.fail(mark, key, _unknown_at_top(key))
    for part in ("projects", "agents"):
        for name, value in top.get(part, {}).items():
            mark = document.marks[(part, name)]
            top[part][name] = findings.mapping(value, mark, f"{part}.{name}")
    return Document(file=document.file, data=top, marks=document.marks, broken=document.broken)


def _check_agent(
    findings: Findings, agent: str | None, owner: str, path: KeyPath, layer: Layer, known: Collection[str]
) -> None:
    if agent is not None and agent not in known:
        mark = nearest_mark(path, layer.marks, Mark(file=CONFIG_NAME))
        hint = near(agent, known) or f"; known are {', '.join(sorted(known))}"
        findings.fail(mark, f"{owner}.{dotted(path)}", f"there is no agent {agent!r}{hint}")


def _unknown_at_top(key: str) -> str:
    if "token" in key.lower():
        return "no such key: the token is a secret and stands in .env, as DISCORD_TOKEN"
    if key in ProjectSettings.model_fields:
        return "no such key here (it belongs under projects.<name>)"
    hint = near(key, [*_TOP, *GlobalSettings.model_fields])
    return f"no such key{hint}" if hint else f"no such key; known are {', '.join(_TOP)}"


def _github_token(findings: Findings, variables: Variables) -> SecretStr | None:
    """GITHUB_TOKEN. It goes into a header, and is never repeated in a message."""
    if not (token := variables.values.get("GITHUB_TOKEN")):
        return None
    if re.search(r"[^!-~]", token) or token[0] in "\"'":
        sentence = "should be the bare token, without spaces, quotes or the word Bearer"
        findings.fail(variables.marks["GITHUB_TOKEN"], "GITHUB_TOKEN", sentence)
    return SecretStr(token)


def _webhook_secrets(findings: Findings, variables: Variables) -> tuple[SecretStr, ...]:
    """Of GITHUB_WEBHOOK_SECRET: several while one takes the other's place, or one that has spaces in it.
    None is repeated in a message."""
    text = variables.values.get("GITHUB_WEBHOOK_SECRET", "")
    parts = text.split()
    if any(len(each) < _LONG_SECRET for each in parts):
        parts = [text]
    if any(len(each) < _LONG_SECRET for each in parts):
        findings.notes.append(
            f"GITHUB_WEBHOOK_SECRET has fewer than {_LONG_SECRET} characters and could be guessed: "
            "openssl rand -hex 32 makes a better one."
        )
    return tuple(SecretStr(each) for each in dict.fromkeys(parts))


def _alerts(findings: Findings, variables: Variables, webhook: str | None) -> dict[str, Any]:
    """MONITORING_WEBHOOK_SECRET and SLACK_WEBHOOK_URL. Neither is repeated in a message."""
    secret = variables.values.get("MONITORING_WEBHOOK_SECRET", "")
    if webhook is not None and not secret:
        findings.notes.append(
            "monitoring_webhook_url is set and MONITORING_WEBHOOK_SECRET is not: what is sent there is not "
            "signed, and whoever receives it cannot tell who sent it."
        )
    elif webhook is not None and len(secret) < _LONG_SECRET:
        findings.notes.append(
            f"MONITORING_WEBHOOK_SECRET has fewer than {_LONG_SECRET} characters and could be guessed: "
            "openssl rand -hex 32 makes a better one."
        )
    slack = variables.values.get("SLACK_WEBHOOK_URL", "")
    if slack and not is_secret_address(slack):
        sentence = "should be the address of an incoming webhook, which starts with https://"
        findings.fail(variables.marks["SLACK_WEBHOOK_URL"], "SLACK_WEBHOOK_URL", sentence)
    token = variables.values.get("EXTERNAL_METRICS_TOKEN", "")
    return {
        "external_metrics_token": SecretStr(token) if token else None,
        "monitoring_webhook_secret": SecretStr(secret) if secret else None,
        "slack_webhook_url": SecretStr(slack) if slack else None,
    }


def _discord(findings: Findings, variables: Variables) -> dict[str, Any]:
    """Discord's three variables; None where one is not set. A token is never repeated in a message."""
    values: dict[str, Any] = {"DISCORD_TOKEN": None}
    if token := variables.values.get("DISCORD_TOKEN"):
        values["DISCORD_TOKEN"] = SecretStr(token)
        if re.search(r"\s", token) or not token.isascii() or token[0] in "\"'":
            sentence = "should be the bare token, without spaces, quotes or the word Bot"
            findings.fail(variables.marks["DISCORD_TOKEN"], "DISCORD_TOKEN", sentence)
    for name, kind in (("DISCORD_API_URL", HttpAddress), ("DISCORD_GATEWAY_URL", SocketAddress)):
        values[name] = None
        if (text := variables.values.get(name)) is None:
            continue
        try:
            values[name] = TypeAdapter(kind).validate_python(text)
        except ValidationError as error:
            findings.complain(error, Settings, (name,), Layer(), variables.marks[name])
    return values
