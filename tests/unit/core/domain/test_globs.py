import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.globs import matches


@pytest.mark.parametrize("glob", ["", "  ", "./"])
def test_an_empty_glob_means_nothing(glob):
    assert not matches("a.py", glob)


@given(st.lists(st.sampled_from(["a", "b.py", "c d"]), min_size=1, max_size=4).map("/".join))
def test_a_star_means_everything_and_a_folder_what_is_in_it(path):
    assert matches(path, "*")
    assert matches(path, "**/*")
    assert matches(f"top/{path}", "top")
    assert matches(f"top/{path}", "./top/")
    assert not matches(f"topper/{path}", "top")
