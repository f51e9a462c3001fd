"""Figures as people read them. PURE."""

from __future__ import annotations

_SIZES = ("B", "kB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """The two largest units: "2 d 4 h", "3 min 20 s", "0.4 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    left = round(seconds)
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {name}")
            left %= size
        elif parts:
            break
    return " ".join(parts)


def money(dollars: float) -> str:
    """Cents where they count."""
    if dollars and abs(dollars) < 0.01:
        return f"${dollars:.4f}"
    return f"${dollars:,.2f}" if abs(dollars) < 1000 else f"${dollars:,.0f}"


def percent(share: float) -> str:
    """Of a share from 0 to 1."""
    if 0 < share < 0.01:
        return "<1 %"
    return f"{share * 100:.0f} %"


def size(count: float) -> str:
    """Of bytes, in powers of 1000."""
    for unit in _SIZES:
        if abs(count) < 1000 or unit == _SIZES[-1]:
            return f"{count:.0f} {unit}" if unit == "B" or abs(count) >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def tidy(number: float) -> str:
    """Three figures that count: 1234 as "1,234", 0.12345 as "0.123"."""
    if abs(number) >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
