"""Colours, letters and the PNG of Discord's pictures. They bring their own ground, so they read alike on
Discord's dark and light themes. Only the one-shot process imports this."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BACK, PANEL, DIM, INK, SOFT = "#2b2d31", "#383a40", "#4e5058", "#f2f3f5", "#a6abb5"
LIT, LINE, PLAN, OVER = "#5865f2", "#57d38c", "#8a8f98", "#f0b132"
DPI = 160


def lettering(text: str, most: int = 44) -> str:
    """No mathematics out of a title: `$` is matplotlib's."""
    return text[:most].replace("\\", "\\\\").replace("$", r"\$")


def png(figure: Figure) -> bytes:
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()
