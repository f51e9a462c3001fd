"""What people type into one option and mean as several. PURE."""

from __future__ import annotations

import re

_MARK = re.compile(r"^\s*(?:[-*•☐]|\d+[.)])\s+")


def criteria(text: str) -> tuple[str, ...]:
    """One criterion a line or between `;`; list marks in front are left out."""
    return lines(text.replace(";", "\n"))


def lines(text: str) -> tuple[str, ...]:
    """One a line; list marks in front are left out."""
    found = (_MARK.sub("", line).strip() for line in text.split("\n"))
    return tuple(line for line in found if line)


def labels(text: str) -> tuple[str, ...]:
    """Between commas, `;` or line ends: a label may have spaces."""
    return tuple(label for part in re.split(r"[,;\n]", text) if (label := part.strip()))


def words(text: str) -> tuple[str, ...]:
    """Ids or addresses between spaces, commas or `;`."""
    return tuple(word for word in re.split(r"[\s,;]+", text) if word)


def unless_dash(text: str) -> str:
    """A single dash stands for nothing: Discord sends no empty option."""
    return "" if text.strip() == "-" else text
