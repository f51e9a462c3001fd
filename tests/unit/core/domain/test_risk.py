import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.risk import FileChange, RiskLimits, assess

LIMITS = RiskLimits(max_lines=20, max_files=3)


def change(path="app.py", added=5, removed=0, **more):
    return FileChange(path=path, added=added, removed=removed, **more)


def test_small_plain_change_is_low_and_says_so():
    risk = assess((change(), change("tests/test_app.py", 300, is_test=True)), LIMITS)
    assert risk.low
    assert "5 lines of code in 2 files" in risk.reasons[0]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (".github/workflows/ci.yml", "continuous integration"),
        ("requirements.txt", "dependencies"),
        ("services/pay/pyproject.toml", "dependencies"),
        ("config/secrets.yaml", "secrets"),
        ("deploy/server.pem", "secrets"),
        (".env.local", "secrets"),
        ("db/migrations/0002_add.py", "migrations"),
        ("Dockerfile", "build or deployment"),
    ],
)
def test_sensitive_path_asks_a_person(path, word):
    risk = assess((change(path, 1),), LIMITS)
    assert not risk.low
    assert word in risk.reasons[0]
    assert path in risk.reasons[0]


def test_size_deleted_tests_and_files_each_give_a_reason():
    changes = (
        change("a.py", 30),
        change("tests/test_b.py", 0, 9, deleted=True, is_test=True),
        change("c"),
        change("d"),
    )
    assert len(assess(changes, LIMITS).reasons) == 3


@given(
    st.lists(
        st.builds(FileChange, path=st.text(min_size=1), added=st.integers(0, 99), removed=st.integers(0, 99))
    )
)
def test_more_changes_never_lower_the_risk(changes):
    for cut in range(len(changes)):
        if not assess(tuple(changes[:cut]), LIMITS).low:
            assert not assess(tuple(changes), LIMITS).low
