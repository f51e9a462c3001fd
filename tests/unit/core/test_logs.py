from __future__ import annotations

import errno
import importlib
import logging

import pytest

from core import logs
from core.known_secrets import known_secrets
from core.logs import COMPONENTS, WHOLE, logging_to


def text(folder, file):
    return (folder / file).read_text()


def test_each_component_has_a_file_and_all_stands_in_one(tmp_path):
    with logging_to(tmp_path):
        for name in (
            "core.scheduler.shares",
            "core.security.logins",
            "core.monitoring.service",
            "core.intelligence",
        ):
            logging.getLogger(name).info("said by %s", name)
    assert {path.name for path in tmp_path.iterdir()} == WHOLE.keys() | COMPONENTS.keys()
    assert "said by core.scheduler.shares" in text(tmp_path, "resource-scheduler.log")
    assert "said by core.security.logins" in text(tmp_path, "security.log")
    assert "said by core.monitoring.service" in text(tmp_path, "monitoring.log")
    assert "said by core.intelligence" in text(tmp_path, "intelligence.log")
    assert text(tmp_path, "global-orchestrator.log").count("said by") == 4
    assert "logins" not in text(tmp_path, "monitoring.log")


def test_afterwards_nothing_more_is_written(tmp_path):
    with logging_to(tmp_path):
        pass
    logging.getLogger("core.security").warning("too late")
    assert text(tmp_path, "security.log") == ""


def test_a_line_stands_on_the_terminal_once(tmp_path, capsys):
    with logging_to(tmp_path, terminal=True):
        logging.getLogger("core.security").warning("only once")
    assert capsys.readouterr().err.count("only once") == 1


def test_no_file_holds_a_secret_or_grows_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_FILE_BYTES", 2000)
    known_secrets.learn(["hunter2-and-more-of-it"])
    with logging_to(tmp_path):
        for number in range(200):
            logging.getLogger("core.security").info("%d: hunter2-and-more-of-it", number)
    files = list(tmp_path.glob("security.log*"))
    assert len(files) == 4
    assert all("hunter2" not in path.read_text() and path.stat().st_size <= 2000 for path in files)


NAMES = {name for names in COMPONENTS.values() for name in names}


@pytest.mark.parametrize("name", sorted(NAMES - {"core.intelligence"}))  # which is not there yet
def test_components_are_modules_of_ours(name):
    importlib.import_module(name)


def test_a_log_is_for_its_owner_alone_also_after_it_was_rotated(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_FILE_BYTES", 200)
    with logging_to(tmp_path / "logs"):
        for number in range(20):
            logging.getLogger("core.security").info("line %d", number)
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    files = list((tmp_path / "logs").iterdir())
    assert "security.log.1" in {path.name for path in files}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_what_would_steer_a_terminal_is_written_out(tmp_path):
    with logging_to(tmp_path):
        logging.getLogger("core.security").warning("a story called %s", "\x1b]0;x\x07\x9b2J\r one\n\ttwo")
    assert "called \\x1b]0;x\\x07\\x9b2J\\x0d one\n\ttwo" in text(tmp_path, "security.log")


def test_a_full_disk_is_told_of_once_and_costs_lines_alone(tmp_path, capsys, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    log = logging.getLogger("core.store")
    with logging_to(tmp_path):
        with monkeypatch.context() as disk:
            disk.setattr(logs._OwnFile, "flush", full)
            log.info("one")
            log.info("two")
        log.info("three")
        told = capsys.readouterr().err
        monkeypatch.setattr(logs._OwnFile, "flush", full)  # its end is none of Orchard's
    assert told == f"{tmp_path / 'global-orchestrator.log'} cannot be written: No space left on device\n"
    assert "three" in text(tmp_path, "global-orchestrator.log")
