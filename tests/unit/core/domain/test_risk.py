import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.risk import LABELS, FileChange, RiskLimits, assess

LIMITS = RiskLimits(max_lines=20, max_files=3)
SENSITIVE = {
    ".github/workflows/ci.yml": "ci",
    ".gitlab-ci.yml": "ci",
    "tools/lint/action.yml": "ci",
    ".forgejo/workflows/ci.yaml": "ci",
    "ops/Jenkinsfile": "ci",
    ".pre-commit-config.yaml": "ci",
    "requirements.txt": "dependencies",
    "requirements-dev.in": "dependencies",
    "services/pay/pyproject.toml": "dependencies",
    "web/pnpm-lock.yaml": "dependencies",
    "app/build.gradle.kts": "dependencies",
    "config/secrets.yaml": "secrets",
    "certs/server.pem": "secrets",
    ".env.local": "secrets",
    "home/id_ed25519": "secrets",
    "db/migrations/0002_add.py": "migrations",
    "db/schema.SQL": "migrations",
    "Dockerfile": "build",
    "ops/compose.prod.yaml": "build",
    "infra/main.tf": "build",
    ".orch-state/config.yaml": "agents",
    "CLAUDE.md": "agents",
}
PLAIN = ("shop/basket.py", "docs/secretary/index.md", "src/keyboard.ts", "monkey.txt", "tests/test_ci.py")
ONE_OF_EACH = [
    *(FileChange(path=path, added=1, removed=0) for path in SENSITIVE),
    FileChange(path="tests/test_a.py", added=0, removed=9, deleted=True, is_test=True),
    FileChange(path="tests/test_b.py", added=1, removed=1, is_test=True),
]


def change(path="app.py", added=5, removed=0, **more):
    return FileChange(path=path, added=added, removed=removed, **more)


def test_a_small_plain_change_is_low_and_says_why():
    risk = assess((change(), change("tests/test_app.py", 300, is_test=True)), LIMITS)
    assert risk.low
    assert risk.reasons[0] == "5 lines of code in 2 files (at most 20 and 3)"


@pytest.mark.parametrize(("path", "label"), SENSITIVE.items())
def test_a_sensitive_path_asks_a_person_unless_its_rule_is_off(path, label):
    risk = assess((change(path, 1),), LIMITS)
    assert not risk.low
    assert [reason for reason in risk.reasons if path in reason] == list(risk.reasons)
    assert assess((change(path, 1),), RiskLimits(ignore=frozenset({label}))).low
    others = frozenset(LABELS) - {label}
    assert not assess((change(path, 1),), RiskLimits(ignore=others)).low


@pytest.mark.parametrize("path", PLAIN)
def test_a_path_that_only_sounds_like_it_asks_nobody(path):
    assert assess((change(path, 1),), LIMITS).low or "secret" in path


def test_every_rule_can_be_switched_off_and_each_is_one_reason():
    everything = tuple(ONE_OF_EACH)
    unlimited = {"max_lines": 1000, "max_files": 1000}
    assert len(assess(everything, RiskLimits(**unlimited)).reasons) == len(LABELS)
    assert assess(everything, RiskLimits(**unlimited, ignore=frozenset(LABELS))).low


@pytest.mark.parametrize(
    ("glob", "path", "touched"),
    [
        ("pay/**", "pay/card/charge.py", True),
        ("pay/", "pay/charge.py", True),
        ("pay", "pay/charge.py", True),
        ("pay", "payment.py", False),
        ("**/money.py", "money.py", True),
        ("**/money.py", "a/b/money.py", True),
        ("*.proto", "api/v1/shop.proto", True),
        ("PAY/*", "pay/charge.py", True),
        ("terms.md", "docs/terms.md", False),
        ("a[0-9].py", "a7.py", True),
    ],
)
def test_a_project_names_paths_of_its_own(glob, path, touched):
    risk = assess((change(path, 1),), RiskLimits(sensitive_paths={"money": (glob,)}))
    assert risk.low is not touched
    if touched:
        assert risk.reasons == (f"touches money: {path}",)


def test_a_label_of_ones_own_adds_to_a_rule_of_that_name():
    limits = RiskLimits(sensitive_paths={"secrets": ("vault/*",)}, ignore=frozenset({"secrets"}))
    assert not assess((change("vault/a.txt"),), limits).low
    assert assess((change(".env"),), limits).low


def test_size_deleted_tests_and_files_each_give_a_reason():
    changes = (
        change("a.py", 30),
        change("tests/test_b.py", 0, 9, deleted=True, is_test=True),
        change("c"),
        change("d"),
    )
    assert len(assess(changes, LIMITS).reasons) == 3


def test_the_limit_itself_is_still_low():
    assert assess((change("a.py", 15, 5), change("b.py", 0), change("c.py", 0)), LIMITS).low
    assert not assess((change("a.py", 15, 6),), LIMITS).low


def test_a_test_that_was_there_before_and_loses_lines_asks_a_person():
    """A gate sees whether tests pass, not that one of them became weaker."""
    own = change("tests/test_new.py", 40, is_test=True)
    grown = change("tests/test_old.py", 12, 0, is_test=True)
    assert assess((own, grown), LIMITS).low
    risk = assess((own, change("tests/test_old.py", 12, 1, is_test=True)), LIMITS)
    assert risk.reasons == ("takes lines out of tests that were there before: tests/test_old.py (-1)",)


def test_a_renamed_file_counts_by_both_of_its_names():
    """Git is asked for renames as what they are here: one file gone, one new."""
    renamed = (change(".github/workflows/ci.yml", 0, 3, deleted=True), change("notes.yml", 3))
    assert not assess(renamed, LIMITS).low


def test_of_many_files_the_first_are_named_and_the_rest_counted():
    risk = assess(tuple(change(f"m{n}.sql", 1) for n in range(5)), RiskLimits())
    assert risk.reasons == ("touches migrations: m0.sql, m1.sql, m2.sql and 2 more",)


PATHS = st.one_of(
    st.sampled_from([*SENSITIVE, *PLAIN]),
    st.text(min_size=1),
    st.lists(st.sampled_from(["tests", "a", "pay", ".github", "x.py", ".env"]), min_size=1).map("/".join),
)
CHANGES = st.builds(
    FileChange,
    path=PATHS,
    added=st.integers(0, 99),
    removed=st.integers(0, 99),
    deleted=st.booleans(),
    is_test=st.booleans(),
)
SOME_LIMITS = st.builds(
    RiskLimits,
    max_lines=st.integers(0, 300),
    max_files=st.integers(0, 5),
    sensitive_paths=st.dictionaries(
        st.sampled_from(["money", "ci"]), st.lists(st.sampled_from(["pay/*", "*"]))
    ),
    ignore=st.frozensets(st.sampled_from(LABELS)),
)


@given(st.lists(CHANGES, max_size=8), CHANGES, st.integers(0, 8), SOME_LIMITS)
def test_adding_a_file_never_lowers_the_risk(changes, added, at, limits):
    before = assess(tuple(changes), limits)
    after = assess((*changes[:at], added, *changes[at:]), limits)
    assert before.low or not after.low
    if not before.low:
        assert len(after.reasons) >= len(before.reasons)


@given(st.lists(CHANGES, max_size=8), SOME_LIMITS, st.sampled_from(LABELS))
def test_switching_a_rule_off_never_raises_the_risk(changes, limits, label):
    less = RiskLimits(
        max_lines=limits.max_lines,
        max_files=limits.max_files,
        sensitive_paths=limits.sensitive_paths,
        ignore=limits.ignore | {label},
    )
    assert assess(tuple(changes), less).low or not assess(tuple(changes), limits).low


@given(st.lists(CHANGES, max_size=8), SOME_LIMITS)
def test_there_is_always_a_reason(changes, limits):
    assert all(assess(tuple(changes), limits).reasons)
