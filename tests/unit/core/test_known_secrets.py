from __future__ import annotations

import ast
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from core.known_secrets import DiscreetFormatter, KnownSecrets, known_secrets
from core.logs import logging_to

ROOT = Path(__file__).parents[3]
VALUE = "a-secret-of-this-test-alone"


@pytest.fixture(autouse=True)
def _learned():
    known_secrets.learn([VALUE])


def test_what_is_learned_is_taken_out_and_what_is_too_short_is_no_secret():
    known = KnownSecrets()
    known.learn(["hunter2-hunter2", "short", " " * 20])
    assert known.text("hunter2-hunter2 short") == "[redacted: a secret of Orchard's] short"
    assert known.value({"a": ["hunter2-hunter2", 1]}) == {"a": ["[redacted: a secret of Orchard's]", 1]}
    assert "hunter2" not in known.redactor_with(["another-one"]).text("hunter2-hunter2 another-one")


def test_a_log_holds_no_secret_of_a_message_an_argument_or_an_exception(tmp_path):
    log = logging.getLogger("core.test_known_secrets")
    with logging_to(tmp_path):
        log.info("said %s", VALUE)
        log.info(VALUE)
        try:
            try:
                raise ValueError(VALUE)
            except ValueError as error:
                raise RuntimeError(f"while {VALUE}") from error
        except RuntimeError:
            log.exception("failed", stack_info=True)
        log.warning("a token: %s", "ghp_" + "a1B2" * 9)
    text = (tmp_path / "global-orchestrator.log").read_text()
    assert text.count("[redacted") == 5
    assert VALUE not in text
    assert "ghp_a1" not in text
    assert "RuntimeError" in text


def test_loggers_without_a_handler_and_exceptions_that_nobody_caught_are_discreet_too():
    program = f"""
import asyncio, logging, threading
from core.known_secrets import be_discreet, known_secrets
be_discreet()
known_secrets.learn([{VALUE!r}])
logging.getLogger("asyncio").error("lost: %s", {VALUE!r})
thread = threading.Thread(target=lambda: int({VALUE!r})); thread.start(); thread.join()
raise RuntimeError({VALUE!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert VALUE not in done.stderr + done.stdout
    assert done.stderr.count("[redacted") == 3
    assert done.returncode == 1


def sources() -> list[Path]:
    return [path for top in ("core", "bot", "cogs") for path in sorted((ROOT / top).rglob("*.py"))]


def test_every_process_that_sets_up_a_log_makes_it_discreet():
    """Nothing else formats records, and who gives the root logger a handler is discreet from then on."""
    found = 0
    for path in sources():
        text = path.read_text(encoding="utf-8")
        if "logging" not in text or path.name == "known_secrets.py":
            continue
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
        assert "logging.Formatter" not in calls, path
        if "logging.basicConfig" in calls:
            found += 1
            assert "be_discreet" in calls, path
    assert found >= 2


def test_the_formatter_keeps_what_is_no_secret():
    record = logging.LogRecord("core.x", logging.INFO, __file__, 1, "plain %s", ("words",), None)
    assert DiscreetFormatter("%(message)s").format(record) == "plain words"
