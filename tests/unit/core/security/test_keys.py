from __future__ import annotations

import os
import pickle
import stat
import sys
from pathlib import Path

import pytest

from core.errors import InvalidInput, Unavailable
from core.security.keys import Key, KeySource, Purpose, make_key, read_key, replace_key

HEX = "0f" * 32


def source(tmp_path: Path, *command: str, seconds: float = 30) -> KeySource:
    return KeySource(file=tmp_path / "key", command=command, seconds=seconds)


def test_the_environment_wins_over_the_command_and_the_file(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    found = source(tmp_path, "/does/not/exist").load({"ORCHARD_KEY": f" {HEX}\n"})
    assert found == Key(bytes.fromhex(HEX))


def test_a_command_gives_the_key(tmp_path: Path) -> None:
    found = source(tmp_path, sys.executable, "-c", f"print('{HEX}')").load({})
    assert found == Key(bytes.fromhex(HEX))


def test_a_key_is_made_once_and_only_this_user_may_read_it(tmp_path: Path) -> None:
    first = make_key(tmp_path / "key")
    assert make_key(tmp_path / "key") == source(tmp_path).load({}) == first
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_no_key_anywhere_is_none(tmp_path: Path) -> None:
    assert source(tmp_path).load({"ORCHARD_KEY": ""}) is None


def test_a_replaced_key_is_whole(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    other = Key.new()
    replace_key(tmp_path / "key", other)
    assert read_key(tmp_path / "key") == other


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(Unavailable, match="cannot be used") as caught:
        read_key(tmp_path / "key")
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    if kind == "symlink":
        make_key(tmp_path / "real")
        path.symlink_to(tmp_path / "real")
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.mkdir(mode=0o700)
    with pytest.raises(Unavailable, match="cannot be used"):
        read_key(path)


@pytest.mark.parametrize("text", ["", "0f" * 31, "0f" * 33, "zz" * 32, "correct horse battery staple"])
def test_text_that_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Key.parse(text, source="ORCHARD_KEY")
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (f"import sys; print('{HEX}'); sys.exit(3)", "ended with 3"),
        ("import time; time.sleep(60)", "gave none in"),
        (f"import os, time; print('{HEX}', flush=True); os.close(1); time.sleep(60)", "gave none in"),
        (f"import os, time; print('{HEX}', flush=True); os.fork() or time.sleep(60)", "gave none in"),
        (f"while True: print('{HEX}')", "more than 4096 bytes"),
    ],
)
def test_a_command_that_fails_or_hangs_is_refused_without_its_output(
    tmp_path: Path, code: str, why: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        source(tmp_path, sys.executable, "-c", code, seconds=1 if "none" in why else 60).load({})
    assert why in caught.value.why
    assert HEX not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "  \n\n"])
def test_what_a_command_says_beside_the_key_does_not_matter(
    tmp_path: Path, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code = f"import sys; sys.stderr.write('unlocking...' * 100_000); sys.stdout.write({HEX + end!r})"
    assert source(tmp_path, sys.executable, "-c", code, seconds=60).load({}) == Key(bytes.fromhex(HEX))
    assert capfd.readouterr().err == ""


def test_a_command_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="gave no key"):
        source(tmp_path, str(tmp_path / "absent")).load({})


def test_a_key_never_shows_and_its_purposes_differ() -> None:
    key = Key.new()
    assert key.hex() not in f"{key!r} {key}"
    assert len({key.derived(purpose) for purpose in Purpose}) == len(Purpose)
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_keys_are_derived_as_they_were() -> None:
    """Fixed for good: another derivation would make every store unreadable."""
    assert Key(bytes(32)).id == "0900ee9401b0d0ad"
