"""Which paths a glob means. PURE."""

from __future__ import annotations

from fnmatch import fnmatchcase


def matches(path: str, glob: str) -> bool:
    """Whether a path (relative, with "/") is meant by a glob over the whole path.

    `*` and `**` cross folders, and `**/` may stand for none; a glob without a sign names a file, or a folder
    with all that is in it.
    """
    plain = glob.strip().removeprefix("./")
    if not plain:
        return False
    if plain.endswith("/"):
        plain += "*"
    if not any(sign in plain for sign in "*?["):
        return path == plain or path.startswith(plain + "/")
    return fnmatchcase(path, plain) or fnmatchcase(path, plain.replace("**/", ""))
