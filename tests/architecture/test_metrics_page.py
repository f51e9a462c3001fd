"""The table of metrics is what is measured."""

import pytest

from core.domain.metric import METRICS, Metric
from tests.architecture.metrics_page import PAGE, page
from tests.architecture.test_purity import ROOT

_TABLE = ROOT / "core" / "domain" / "metric.py"


@pytest.fixture(scope="module")
def program() -> str:
    """All that may measure; not what judges, shows or sends it."""
    files = [
        *(ROOT / "core").rglob("*.py"),
        *(ROOT / "bot" / "discord").rglob("*.py"),
        *(ROOT / "bot" / "web").glob("*.py"),
    ]
    return "\n".join(
        path.read_text(encoding="utf-8") for path in files if path != _TABLE and "alerts" not in path.parts
    )


def test_the_table_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run: python -m tests.architecture.metrics_page"


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_has_a_source(metric: Metric, program: str) -> None:
    assert f'"{metric.name}"' in program
