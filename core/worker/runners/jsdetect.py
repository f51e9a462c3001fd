"""Finds out how a project with a package.json runs its tests, and says why."""

from __future__ import annotations

from pathlib import Path

from core.errors import Unavailable
from core.worker.contract import ProjectSetup
from core.worker.runners.invocation import hides_its_exit_code
from core.worker.runners.javascript import JsRunner
from core.worker.runners.jscommand import (
    TOOLS,
    JsCommand,
    installed_tools,
    plain_call,
    read_js_command,
    script_of_tests,
    tool_in,
    workspaces_of,
)
from core.worker.runners.jsconfig import is_main_config
from core.worker.runners.node import NodeRunner
from core.worker.runners.nodecommand import NodeCommand, read_node_command, why_not

_MOCHA = "npx mocha --reporter mocha-junit-reporter --reporter-options mochaFile={junit}"


def detect_js(folder: Path, project: ProjectSetup) -> NodeRunner | JsRunner | None:
    """The runner that package.json, or a configuration of jest or vitest beside it, asks for.

    None when nothing says so. Raises Unavailable for a test script that does more than to run the tests, and
    where two runners might be meant.
    """
    path = folder / "package.json"
    package = path.read_bytes() if path.is_file() else b"{}"
    script = script_of_tests(package)
    if script is None:
        return _without_script(folder, project, package)
    reason = f"package.json's test script is `{script}`"
    if node := read_node_command(script):
        return node_runner(node, project, reason=reason)
    if command := read_js_command(script):
        return js_runner(command, folder, project, reason=reason)
    if "--test" in script:
        raise _unavailable(
            project,
            why_not(script),
            "Set `test_command`: `node --test` to be watched, or any command that writes {junit}.",
        )
    if tool := tool_in(script):
        raise _unavailable(project, _why_no_call(script, tool), _hint(tool))
    if "mocha" in script.split():
        hint = f"Set `test_command`, as in `{_MOCHA}`; {{junit}} is the report's path."
        raise _unavailable(project, why_not(script), hint)
    return None


def node_runner(command: NodeCommand, project: ProjectSetup, *, reason: str) -> NodeRunner:
    return NodeRunner(
        command, reason=reason, folder=project.folder, extra_test_paths=project.extra_test_paths
    )


def js_runner(command: JsCommand, folder: Path, project: ProjectSetup, *, reason: str) -> JsRunner:
    return JsRunner(
        command,
        reason=reason,
        folder=project.folder,
        named=JsRunner.named_by_configuration(folder, project.folder, command.loaded),
        extra_test_paths=project.extra_test_paths,
    )


def _without_script(folder: Path, project: ProjectSetup, package: bytes) -> JsRunner | None:
    found: dict[str, str] = {}
    for tool in TOOLS:
        names = sorted(path.name for path in folder.glob("*") if is_main_config(path.name, tool))
        if names:
            found[tool] = f"there is a {names[0]} and no test script"
    for tool in () if found else installed_tools(package):
        found[tool] = f"package.json asks for {tool} and has no test script"
    if len(found) > 1:
        raise _unavailable(
            project, "It has both vitest and jest, and no test script.", _hint("vitest", "jest")
        )
    for tool, reason in found.items():
        return js_runner(plain_call(tool), folder, project, reason=reason)
    if below := _packages_below(folder, workspaces_of(package)):
        shown = " or ".join(f"'{name}'" for name in below[:3])
        raise _unavailable(
            project,
            "Its package.json has workspaces and no test script of its own.",
            f"Register each package as a project of its own, with `folder` {shown}, or set `test_command`.",
        )
    return None


def _packages_below(folder: Path, globs: tuple[str, ...]) -> list[str]:
    """Folders of workspaces that have tests to run."""
    found = []
    for glob in globs:
        if glob.startswith(("/", "!", "..")):
            continue
        for path in sorted(folder.glob(f"{glob.rstrip('/')}/package.json")):
            package = path.read_bytes()
            if script_of_tests(package) or installed_tools(package):
                found.append(path.parent.relative_to(folder).as_posix())
    return found


def _why_no_call(script: str, tool: str) -> str:
    if hides_its_exit_code(script):
        return f"Its test script `{script}` hides the exit code of its tests."
    return f"Its test script `{script}` does more than a plain call of {tool}, or selects tests."


def _hint(*tools: str) -> str:
    calls = " or ".join(f"`{plain_call(tool).text}`" for tool in tools)
    return f"Set `test_command`: {calls} to be watched, or any command that writes {{junit}}."


def _unavailable(project: ProjectSetup, why: str, hint: str) -> Unavailable:
    return Unavailable(f"No test runner found for {project.name}.", why=why, hint=hint)
