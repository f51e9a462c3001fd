"""Types of settings: plain YAML values, checked without guessing.

Numbers and booleans are strict, since pydantic would otherwise read `true` as 1 agent and "yes" as true.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import zoneinfo
from collections.abc import Iterable
from datetime import time
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from core.errors import OrchardError
from core.isolation.egress.named_hosts import check_entry

STRATEGIES = ("fair_share", "priority_based", "dynamic")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PLACEHOLDERS = ("junit", "python")


def near(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """` (did you mean 'x'?)`, or nothing when no known word is near.

    Case does not count, nor does a `prefix` that all the words have.
    """
    words = {each.removeprefix(prefix).lower(): each for each in known}
    found = get_close_matches(word.removeprefix(prefix).lower(), list(words), n=1, cutoff=0.6)
    return f" (did you mean '{words[found[0]]}'?)" if found else ""


def is_own_machine(host: str) -> bool:
    """Whether a host of an address is this machine by its very name: nobody is asked."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_secret_address(value: str) -> bool:
    """Whether an address whose knowledge is a right may be sent to: encrypted, or to this machine."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or re.search(r"[^!-~]", value):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_own_machine(host))


def _address(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        try:
            parts = urlsplit(value)
            valid = (
                parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
            )
        except ValueError:
            valid = False
        if not valid or re.search(r"\s", value):
            raise ValueError(
                f"should be an address that starts with {' or '.join(f'{s}://' for s in schemes)}"
            )
        return value.rstrip("/")

    return AfterValidator(check)


def _strategy(value: str) -> str:
    """One of the built-in names, or the import path of a subclass of SchedulingStrategy."""
    if value in STRATEGIES or re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*", value):
        return value
    hint = near(value, STRATEGIES)
    raise ValueError(
        f"should be {', '.join(STRATEGIES)} or an import path such as package.module:Strategy, "
        f"not {value!r}{hint}"
    )


def _snowflake(value: Any) -> Any:
    """Discord ids are 64-bit numbers; people paste them with and without quotes."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**64:
        raise ValueError("should be a Discord id: a number of 17 to 20 digits, copied with 'Copy Server ID'")
    return value


def _inside(value: str) -> str:
    """A path that cannot leave the checkout, in POSIX form."""
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts or "\0" in value or value.startswith("~"):
        raise ValueError(f"should be a path inside the project, relative and without '..', not {value!r}")
    return str(path)


def _glob(value: str) -> str:
    """A path inside the checkout in which `*`, `?` and `[...]` stand for what they stand for in a shell."""
    path = _inside(value)
    if path == ".":
        raise ValueError(f"should name files, such as '*' for all of them, not {value!r}")
    opened = re.sub(r"\[!?\]?[^\]]*\]", "", path)  # what a closed bracket holds is not looked at
    if "[" in opened:
        raise ValueError(f"holds a '[' that no ']' closes: {value!r}")
    return f"{path}/" if value.endswith("/") else path


def _allow_entry(value: str) -> str:
    """An entry of a network allow-list: a rule, or the name of a set of them."""
    try:
        return check_entry(value)
    except OrchardError as error:
        raise ValueError(str(error)) from error


def _role(value: Any) -> Any:
    """A role's name, with or without its "@", or its id, which people paste with and without quotes."""
    if isinstance(value, int):
        return str(_snowflake(value))
    name = value.removeprefix("@") if isinstance(value, str) else value
    if name in ("everyone", "here"):
        raise ValueError(f"names everybody, and nobody would be asked: {value!r}; leave it out")
    return name


def _server_role(value: Any) -> Any:
    """As `_role`, but everybody's own role is one."""
    return "@everyone" if value in ("everyone", "@everyone") else _role(value)


def _rule_label(value: str) -> str:
    if not re.fullmatch(r"[^\s\W][\w .-]{0,39}", value):
        raise ValueError(f"should be a short label of letters, digits, spaces and '-', not {value!r}")
    return value


def _resource_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,39}", value):
        raise ValueError(f"should be a name of small letters, digits, '.', '_' and '-', not {value!r}")
    return value


def _place(value: Any) -> Any:
    """`~` is expanded here; relative paths are resolved by the loader, which knows the file they stand in."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"should be a path, not {value!r}")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"names a home folder that does not exist: {value!r}") from None


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueError(f"cannot be read as a command line: {str(error).lower()}") from None
    if not words or "\0" in value:
        raise ValueError("is empty: leave the key out, so that the command is detected")
    for word in re.findall(r"\{([A-Za-z_]+)\}", value):
        if word not in PLACEHOLDERS and (hint := near(word, PLACEHOLDERS)):
            raise ValueError(f"holds the unknown placeholder {{{word}}}{hint}")
    return value


def _time_zone(value: str) -> str:
    if value == "UTC":
        return value  # also on a machine without time zone data
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if not known:
            raise ValueError(
                f"is not known: this machine has no time zone data (install tzdata): {value!r}"
            ) from None
        sentence = f"should be a time zone such as Europe/Berlin, not {value!r}{near(value, known)}"
        raise ValueError(sentence) from None
    return value


def _hour(value: Any) -> Any:
    if isinstance(value, time):
        return value
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'should be a time of day such as "09:00", from 00:00 to 23:59, not {value!r}')
    return time(int(match[1]), int(match[2]))


def _day(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower() in DAYS:
        return value.strip().lower()
    raise ValueError(f"should be a day such as monday, not {value!r}{near(str(value), DAYS)}")


def _channel(value: str) -> str:
    name = value.removeprefix("#")
    if not name or len(name) > 100 or re.search(r"\s", name):
        raise ValueError(f'should be a channel such as "#my-project-dev" or its id, not {value!r}')
    return value


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty: leave the key out or set it to null")
    return value


def absolute(path: Path, root: Path) -> Path:
    """`path` as an absolute path without `..`; symlinks stay as they were written."""
    return Path(os.path.normpath(root / path))


Bool = Annotated[bool, Strict()]
Int = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Text = Annotated[str, AfterValidator(_text)]
HttpAddress = Annotated[str, _address("http", "https")]
SocketAddress = Annotated[str, _address("ws", "wss")]
Strategy = Annotated[str, AfterValidator(_strategy)]
Snowflake = Annotated[int, BeforeValidator(_snowflake)]
InsidePath = Annotated[str, AfterValidator(_inside)]
Glob = Annotated[str, AfterValidator(_glob)]
RuleLabel = Annotated[str, AfterValidator(_rule_label)]
ResourceName = Annotated[str, AfterValidator(_resource_name)]
Places = Annotated[Int, Field(ge=1, le=10000)]
Role = Annotated[Text, BeforeValidator(_role)]
ServerRole = Annotated[Text, BeforeValidator(_server_role)]
RoleLevel = Literal["viewer", "contributor", "maintainer", "admin"]  # no role makes an owner
Place = Annotated[Path, BeforeValidator(_place)]
Command = Annotated[str, AfterValidator(_command)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Hour = Annotated[time, BeforeValidator(_hour)]
Day = Annotated[str, BeforeValidator(_day)]
Channel = Annotated[str, AfterValidator(_channel)]
IsolationLevel = Literal["process", "filesystem", "network", "container"]
AllowEntry = Annotated[str, AfterValidator(_allow_entry)]
AgentRole = Literal["design", "qa", "code", "data"]
AnswerLevel = Literal["contributor", "maintainer", "admin", "owner"]
EnvironmentSource = Literal["auto", "inherit", "make", "none"]
