"""What is measured goes to a real receiver, and into files, of an Orchard that runs."""

from __future__ import annotations

import json
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from config.loader import load
from core.monitoring.export.pushing import Pushing
from core.monitoring.export.status_files import StatusFiles
from core.runtime import open_runtime
from tests.waiting import until

TOKEN = "a-token-for-the-collector-0123456789"


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got = []
        self.answered = 0
        self.status = 200
        self.headers = {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1/metrics"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers, json.loads(body)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answered += 1

    def log_message(self, *words):
        pass


@pytest.fixture
def receiver():
    with Receiver() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
async def runtime(tmp_path, receiver):
    monitoring = {"external_metrics_format": "otlp", "external_metrics_seconds": 86400}
    settings = {
        "external_metrics_endpoint": receiver.url,
        "monitoring": monitoring,
        "web": {"enabled": False},
    }
    (tmp_path / "orch-config.yaml").write_text(yaml.safe_dump({"global": settings}))
    async with open_runtime(lambda: load(tmp_path, environ={"EXTERNAL_METRICS_TOKEN": TOKEN})) as made:
        yield made


async def test_a_running_orchard_sends_what_it_measures_by_itself(runtime, receiver):
    await until(lambda: receiver.got)
    path, headers, said = receiver.got[0]
    assert path == "/v1/metrics"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"
    assert said["resourceMetrics"][0]["resource"]["attributes"][0]["value"] == {"stringValue": "orchard"}


async def test_what_the_other_side_does_is_told_once_and_goes_by(runtime, receiver, caplog):
    await until(lambda: receiver.answered)  # what it sends by itself at its start
    pushing = Pushing(runtime.monitoring, runtime.clock, lambda: runtime.configuration().settings)
    receiver.status, receiver.headers = 503, {"Retry-After": "120"}
    first, second = await pushing.push(), await pushing.push()
    assert min(first.pause_seconds, second.pause_seconds) >= 120
    assert "answered 503" in pushing.trouble
    receiver.status, receiver.headers = 307, {"Location": "http://localhost:1/elsewhere"}
    assert "is not followed" in (await pushing.push()).reason
    receiver.status, receiver.headers = 200, {}
    assert (await pushing.push()).pause_seconds == 0
    assert pushing.trouble == ""
    told = [
        record.getMessage() for record in caplog.records if "external_metrics_endpoint" in record.getMessage()
    ]
    assert len(told) == 2
    receiver.server_close()
    assert "Connect" in (await pushing.push()).reason or pushing.trouble


async def test_the_status_is_in_files_that_only_this_user_reads(runtime, tmp_path):
    files = StatusFiles(runtime.monitoring, runtime.clock, tmp_path / "state", lambda: ("shop",))
    await runtime.monitoring.look()
    await files.write()
    health = json.loads((tmp_path / "state/status/system-health.json").read_text())
    performance = json.loads((tmp_path / "state/status/performance-metrics.json").read_text())
    assert health["machine"]["disk_free_bytes"] > 0
    assert performance["projects"].keys() == {"shop"}
    assert stat.S_IMODE((tmp_path / "state/status/system-health.json").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "state/status").iterdir()) == [
        "performance-metrics.json",
        "system-health.json",
    ]


async def test_where_nothing_can_be_written_it_says_so_once(runtime, tmp_path, caplog):
    (tmp_path / "state").write_text("in the way")
    files = StatusFiles(runtime.monitoring, runtime.clock, tmp_path / "state", tuple)
    await files.write()
    await files.write()
    assert len([record for record in caplog.records if "were not written" in record.getMessage()]) == 1
