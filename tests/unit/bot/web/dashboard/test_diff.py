from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.web.dashboard.views import diff
from bot.web.dashboard.views.diff import diff_of

TEXT = """\
diff --git a/calc.py b/calc.py
index 11..22 100644
--- a/calc.py
+++ b/calc.py
@@ -1,3 +1,4 @@
 def add(a, b):
-    return a
+    return a + b
+--- not a header
 x = 1
\\ No newline at end of file
diff --git a/new.bin b/new.bin
new file mode 100644
Binary files /dev/null and b/new.bin differ
"""


def test_a_diff_is_read_by_files_with_numbers_of_lines():
    found = diff_of(TEXT)
    calc, new = found.files
    assert (calc.name, calc.added, calc.removed) == ("calc.py", 2, 1)
    assert [(line.kind, line.number) for line in calc.lines] == [
        ("hunk", None),
        ("same", 1),
        ("cut", 2),
        ("add", 2),
        ("add", 3),
        ("same", 4),
        ("note", None),
    ]
    assert [line.text for line in new.lines][-1].startswith("Binary files")
    assert (found.added, found.removed, found.before, found.left_out) == (2, 1, "", 0)


def test_a_command_stays_text():
    found = diff_of("rm -rf build\n<script>alert(1)</script>")
    assert (found.files, found.before) == ((), "rm -rf build\n<script>alert(1)</script>")


def test_text_in_front_of_a_diff_is_kept():
    assert diff_of(f"It touches one file.\n{TEXT}").before == "It touches one file."


def test_more_than_can_be_shown_is_counted(monkeypatch):
    monkeypatch.setattr(diff, "LINES", 3)
    found = diff_of(TEXT)
    assert (sum(len(file.lines) for file in found.files), found.left_out) == (3, 6)
    assert found.added == 2  # the sum is of all


@given(
    st.lists(st.sampled_from([*TEXT.splitlines(), "+", "-", "@@", "@@ -0,0 +1 @@", "junk", ""]), max_size=40)
)
def test_no_text_is_lost_or_refused(lines):
    found = diff_of("\n".join(lines))
    begun = next((at for at, line in enumerate(lines) if line.startswith("diff --git a/")), len(lines))
    assert found.before.splitlines() == "\n".join(lines[:begun]).splitlines()
    assert len(found.files) == sum(line.startswith("diff --git a/") for line in lines)


def test_nothing_of_what_looks_like_a_diff_is_left_out():
    lines = [
        "diff --git a/$(one) b/two",
        "index $(three)",
        "--- four; five",
        "+++ six",
        "index 11..22 100644; seven",
        "--- a/$(one)",
        "@@ -1 +1 @@",
        "+eight\u2028diff --git a/nine b/nine\x0cten",
    ]
    (file,) = diff_of("\n".join(lines)).files
    assert file.name == "$(one) → two"
    shown = [line.text for line in file.lines]
    assert shown == [*lines[1:5], "@@ -1 +1 @@", lines[7][1:]]
