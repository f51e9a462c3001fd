"""The shell as a person sees it: on a terminal, with keys and signals."""

from __future__ import annotations

import signal

import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(180)


def test_commands_completion_and_history(orchard, checkout, terminal):
    path = checkout("shop")
    shell = terminal("shell")
    shell.expect("Nothing runs now; what you change waits for: orchard run")
    shell.enter(f"register shop {path}")
    shell.expect("✓ shop is registered")
    shell.expect("multi-orch>")
    shell.type("stat\t")
    shell.expect_line("multi-orch> status")
    shell.type(" sh\t")
    shell.expect_line("multi-orch> status shop")
    shell.type("\r")
    shell.expect("IDLE")
    shell.enter("exit")
    assert shell.wait() == 0
    again = terminal("shell")
    again.expect("multi-orch>")
    again.type("\x1b[A\x1b[A")  # up, up: over exit
    again.expect_line("multi-orch> status shop")
    again.type("\r")
    again.expect("IDLE")
    again.expect("multi-orch>")
    again.type("\x04")  # the end of input
    assert again.wait() == 0
    history = orchard.root / ".orch-global" / "shell-history"
    assert history.stat().st_mode & 0o077 == 0


def test_a_mistake_and_ctrl_c_leave_the_prompt(orchard, terminal):
    shell = terminal("shell")
    shell.enter("bogus")
    shell.expect("There is no command 'bogus'.")
    shell.expect("multi-orch>")
    shell.type("never sent\x03")
    shell.enter("projects")
    shell.expect("No project is registered yet. Register one: register NAME PATH")
    shell.enter("quit")
    assert shell.wait() == 0


def test_orchard_runs_at_full_speed_behind_a_waiting_prompt(orchard, terminal):
    shell = terminal("--interactive", "--no-discord")
    shell.expect("Orchard runs.")
    shell.expect("multi-orch>")
    shell.type("half a li")  # somebody is typing
    for _ in range(2):
        assert orchard.json("status")["running"]
    second = terminal("--interactive", "--no-discord")
    second.expect(f"Orchard runs already (pid {shell.pid}): this shell talks to it.")
    second.enter("status")
    second.expect("Running: True")
    second.enter("exit")
    assert second.wait() == 0
    shell.signal(signal.SIGTERM)
    assert shell.wait() == 143
    assert not orchard.json("status")["running"]


def test_ctrl_c_gives_up_waiting_and_nothing_else(orchard, terminal):
    with orchard.running("--no-discord") as running:
        shell = terminal("shell")
        shell.expect("multi-orch>")
        wait_until(lambda: not orchard.is_asked(), "the end of what it asked at its start")
        running.process.send_signal(signal.SIGSTOP)
        shell.type("projects\r")
        wait_until(orchard.is_asked, "the question to be put")
        shell.type("\x03")  # once: the kernel throws away what is being written when it sees Ctrl-C
        shell.expect("Not waited for. What was begun may still be done.")
        running.process.send_signal(signal.SIGCONT)
        shell.enter("projects")
        shell.expect("No project is registered yet")
        shell.enter("exit")
        assert shell.wait() == 0


def test_a_shell_outlives_the_orchard_it_talks_to(orchard, checkout, terminal):
    path = checkout("shop")
    shell = terminal("shell")
    shell.expect("multi-orch>")
    with orchard.running("--no-discord"):
        shell.type(f"register shop {path}\r")
        shell.expect("✓ shop is registered")
        assert [view["project"]["name"] for view in orchard.json("projects")] == ["shop"]
    shell.enter("status")
    shell.expect("Running: False")
    shell.expect("multi-orch>")
    shell.signal(signal.SIGHUP)
    assert shell.wait() == 129


def test_a_terminal_that_can_do_nothing_is_enough(terminal):
    shell = terminal("shell", TERM="dumb", NO_COLOR="1")
    shell.expect("multi-orch>")
    shell.type("projects\r")
    shell.expect("No project is registered yet")
    shell.expect("multi-orch>")
    shell.type("quit\r")
    assert shell.wait() == 0


def test_ctrl_c_stops_a_running_orchard_in_order(orchard, terminal):
    orchard.fresh = True  # a process as people start it
    run = terminal("run", "--no-discord")
    run.expect("Ctrl-C stops it.")
    run.type("\x03")
    run.expect("Stopped.")
    assert run.wait() == 0
