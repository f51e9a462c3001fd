"""The terminal: streams that may be closed or speak little, and what people see when something fails."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import errno
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

from core.errors import OrchardError, Unavailable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

T = TypeVar("T")

INTERRUPTED = 130
_BROKEN_PIPE = 141  # as a shell reports a program that wrote into a closed pipe
_OWN_FAULT = 70
_WIDTH_OF_A_FILE = 10_000  # nothing is broken into lines there

_SPOKEN = {
    "✓": "ok",
    "✗": "x",
    "→": "->",
    "•": "*",
    "…": "...",
    "⚠": "!",
    "–": "-",
    "—": "-",
    "·": "-",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
}  # fmt: skip


def prepare_streams() -> None:
    """After this, printing fails for no character, and no standard stream is None."""
    codecs.register_error("orchard", _spell)
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for good
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="orchard")


def _spell(error: UnicodeError) -> tuple[str, int]:
    """What a stream of few characters gets in place of one that it does not know."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


def _spelled(character: str) -> str:
    if character in _SPOKEN:
        return _SPOKEN[character]
    if unicodedata.category(character) in ("So", "Mn", "Cf", "Sk"):  # pictures and what changes them
        return ""
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"


def console(*, errors: bool = False) -> Console:
    """For people. A text is never read as markup and steers nothing, whoever wrote it; a pipe or file gets
    long lines instead of broken ones."""
    from rich.console import Console
    from rich.segment import Segment

    from core.domain.untrusted import for_terminal

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "closed")

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for each in super().render(renderable, options):
                if each.control or (each.text.isascii() and each.text.isprintable()):
                    yield each
                else:
                    yield Segment(for_terminal(each.text), each.style)

    stream = sys.stderr if errors else sys.stdout
    wide = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_A_FILE
    return Quiet(file=stream, width=wide, markup=False, highlight=False, emoji=False)


def execute(work: Coroutine[Any, Any, T], *, as_json: bool = False, debug: bool = False) -> T:
    """Runs to the end. What goes wrong becomes a sentence (or JSON) and an exit code."""
    try:
        return asyncio.run(work)
    except OrchardError as error:
        refuse(error, as_json=as_json)
    except TimeoutError:
        refuse(
            Unavailable(
                "The running Orchard did not answer in time.", hint="Look into its log, or restart it."
            ),
            as_json=as_json,
        )
    except asyncio.CancelledError:
        refuse(
            Unavailable("Orchard stopped because of a fault of its own.", hint="Its log says more."),
            as_json=as_json,
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError as error:
        _give_up(sys.stdout, error)
    except Exception as error:  # the last edge, with the command's own way to say it
        tell_crash(error, as_json=as_json, debug=debug)


def refuse(error: OrchardError, *, as_json: bool = False, code: int = 1) -> NoReturn:
    if as_json:
        send(json.dumps(error_data(error)) + "\n")
    else:
        from bot.cli import output

        display(output.failure(error), errors=True)
    sys.exit(code)


def error_data(error: OrchardError) -> dict[str, str]:
    why = "\n".join(line.strip() for line in error.why.strip().splitlines())
    return {"error": error.slug, "message": error.message, "why": why, "hint": error.hint}


def tell_crash(error: Exception, *, as_json: bool = False, debug: bool = False) -> NoReturn:
    """An error of Orchard's own: a sentence for people, the traceback in a file."""
    from core.agents.redaction import secrets_in
    from core.known_secrets import known_secrets

    known_secrets.learn(secrets_in(os.environ))
    trace = known_secrets.text("".join(traceback.format_exception(error)))
    if debug:
        sys.stderr.write(trace)
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="orchard-error-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(trace)
        hint = f"The details are in {file.name}."
    except OSError:
        hint = "--debug shows the details."
    said = OrchardError(
        "Something went wrong inside Orchard.",
        why=known_secrets.text(f"{type(error).__name__}: {error}"),
        hint=hint,
    )
    refuse(said, as_json=as_json, code=_OWN_FAULT)


def display(text: RenderableType, *, errors: bool = False) -> None:
    """Prints for people, at once. Raises SystemExit when nobody can read it any more."""
    send(_printed(text, errors=errors), errors=errors)


def display_long(text: RenderableType) -> None:
    """Prints for people; through the terminal's pager what is longer than the screen, where there is one."""
    lines = _printed(text)
    pager = _pager() if console().is_terminal and sys.stdin.isatty() else None
    if pager is None or lines.count("\n") < shutil.get_terminal_size().lines:
        send(lines)
        return
    # F, R, X: what fits is printed, colours are colours, and what was read stays on the screen.
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}
    try:
        subprocess.run(pager, input=lines, text=True, errors="replace", env=environment, check=False)
    except (OSError, KeyboardInterrupt):
        send(lines)


def _pager() -> list[str] | None:
    """$PAGER, else less or more; None where there is none, or it is switched off by an empty one."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return None
    wanted = os.environ.get("PAGER")
    for line in ("less", "more") if wanted is None else (wanted,):
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if words and shutil.which(words[0]):
            return words
    return None


def _printed(text: RenderableType, *, errors: bool = False) -> str:
    target = console(errors=errors)
    try:
        with target.capture() as captured:
            target.print(text)
    except OSError as error:  # rich touches the stream all the same
        _give_up(sys.stderr if errors else sys.stdout, error)
    lines = captured.get()
    if target.is_terminal:
        return lines
    return "\n".join(line.rstrip() for line in lines.split("\n"))  # tables fill their lines up


def send(text: str, *, errors: bool = False) -> None:
    """Writes, at once. Raises SystemExit when nobody can read it any more."""
    stream = sys.stderr if errors else sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _give_up(stream, error)


def leave() -> None:
    """Sends what is still to be written. Whoever closed the other end gets no complaint about it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            _give_up(stream, error)


def _give_up(stream: TextIO, error: OSError) -> NoReturn:
    """Lets the interpreter's own flush at its end have somewhere to write to."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for good
    if isinstance(error, BrokenPipeError):
        sys.exit(_BROKEN_PIPE)
    if stream is not sys.stderr:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"The output could not be written: {error.strerror}.\n")
            sys.stderr.flush()
    sys.exit(1)
