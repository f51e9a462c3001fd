"""How a known value may stand in a text: as it is, escaped, quoted, in hexadecimal, in base 64. PURE.

Only what can be computed ahead: a value that is encrypted, compressed or taken apart is not found by any of
them. Its lines count as values, too, since programs print files line by line.
"""

from __future__ import annotations

import base64
import html
import json
import shlex
import string

_LONG_LINE = 16  # characters; a shorter line of a value may well be an ordinary word
_SHORTEST = 8
_URL_SAFE = str.maketrans("+/", "-_")


def spellings(value: str) -> set[str]:
    """All of them, the value itself too. What has fewer than 8 characters is left out."""
    found = set()
    for text in {value, value.strip(), *_lines(value)}:
        found |= _escaped(text) | _encoded(text.encode("utf-8", "surrogatepass"))
    return {each for each in found if len(each) >= _SHORTEST}


def _lines(value: str) -> set[str]:
    lines = {line.strip() for line in value.splitlines()} if "\n" in value.strip() else set()
    return {line for line in lines if len(line) >= _LONG_LINE and not line.startswith("-----")}


def _escaped(text: str) -> set[str]:
    once, raw = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    found = {text, once, raw, json.dumps(once)[1:-1], json.dumps(raw, ensure_ascii=False)[1:-1]}
    found |= {repr(text)[1:-1], html.escape(text), html.escape(text, quote=False), shlex.quote(text)[1:-1]}
    encoded = text.encode("utf-8", "surrogatepass")
    for safe in (b"-._~", b"-._~/"):
        for blank in ("%20", "+"):
            address = _address(encoded, safe, blank)
            found |= {address, _lower_escapes(address)}
    return found


def _address(data: bytes, safe: bytes, blank: str) -> str:
    """As it stands in an address (RFC 3986, 2.1) or in a form."""
    plain = safe + string.ascii_letters.encode() + string.digits.encode()
    return "".join(
        chr(each) if each in plain else blank if each == ord(" ") else f"%{each:02X}" for each in data
    )


def _lower_escapes(address: str) -> str:
    first, *rest = address.split("%")
    return "".join((first, *(f"%{part[:2].lower()}{part[2:]}" for part in rest)))


def _encoded(data: bytes) -> set[str]:
    found = {data.hex(), data.hex().upper()}
    # As a part of something longer it begins at any of three places of a group; the characters at both ends
    # also depend on what stands beside it, so they are left out.
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        inner = whole[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        found |= {inner, inner.translate(_URL_SAFE)}
    return found
