from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.overlap import AtWork, Overlap, find_overlaps, touching, untold

FILES = st.frozensets(st.sampled_from(["a.py", "b.py", "c/d.py", "e"]))


@st.composite
def works(draw: st.DrawFn) -> list[AtWork]:
    files = draw(st.lists(FILES, max_size=8))
    return [AtWork(story_id=f"shop-{n}", files=each) for n, each in enumerate(files)]


@given(works())
def test_every_pair_with_a_file_in_common_is_found_once_with_all_of_them(at_work: list[AtWork]) -> None:
    found = find_overlaps(at_work)
    expected = [
        Overlap(first=first.story_id, later=later.story_id, files=tuple(sorted(first.files & later.files)))
        for place, later in enumerate(at_work)
        for first in at_work[:place]
        if first.files & later.files
    ]
    assert list(found) == expected


@given(works(), FILES)
def test_touching_are_those_whose_files_meet(at_work: list[AtWork], files: frozenset[str]) -> None:
    assert touching(at_work, files) == tuple(work.story_id for work in at_work if work.files & files)


@given(FILES.filter(bool), FILES)
def test_only_a_file_that_was_not_told_is_news(files: frozenset[str], told: frozenset[str]) -> None:
    overlap = Overlap(first="a", later="b", files=tuple(sorted(files)))
    assert untold(overlap, told) == bool(files - told)
    assert not untold(overlap, told | files)
