"""The table of metrics in docs/monitoring.md, made from them: `python -m tests.architecture.metrics_page`."""

from __future__ import annotations

from pathlib import Path

from core.domain.metric import METRICS, Metric

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
_BEGIN = "<!-- made by python -m tests.architecture.metrics_page -->\n"
_END = "<!-- end -->\n"


def page(text: str) -> str:
    """The page with its table as it should be."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{table()}{_END}{after}"


def table() -> str:
    rows = ["| metric | kind | unit | labels | what |", "|---|---|---|---|---|"]
    rows += [_row(metric) for metric in METRICS.values()]
    return "\n".join(rows) + "\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.help} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
