"""What an agent may claim at `test_red`, and how the gate sees through it."""

from __future__ import annotations

import pytest

from core.domain.evidence import RefusalCode

pytestmark = pytest.mark.timeout(180)  # a test here starts many programs


async def test_no_file_changed_is_no_red(lab, shop, codes):
    verdict = await lab.judge_red(shop, {})
    assert codes(verdict) == {RefusalCode.NO_TEST_ADDED}


async def test_a_changed_comment_is_no_test(lab, shop, codes):
    verdict = await lab.judge_red(shop, {"tests/helpers.py": "# I wrote all the tests\n"})
    assert codes(verdict) == {RefusalCode.NO_TEST_ADDED}
    assert "tests/helpers.py" in verdict.explain()


async def test_code_with_the_tests_is_refused_and_named(lab, shop, red_files, green_files, codes):
    verdict = await lab.judge_red(shop, {**red_files, **green_files})
    assert RefusalCode.CHANGED_OUTSIDE_RIGHTS in codes(verdict)
    assert verdict.refusals[0].files == ("shop/price.py",)


async def test_runner_configuration_is_no_test(lab, shop, red_files, codes):
    verdict = await lab.judge_red(shop, {**red_files, "pytest.ini": "[pytest]\naddopts = -v\n"})
    assert codes(verdict) == {RefusalCode.CHANGED_OUTSIDE_RIGHTS}


async def test_a_test_linked_to_code_is_no_test(lab, shop, red_files, codes):
    verdict = await lab.judge_red(shop, {**red_files, "tests/test_linked.py.symlink": "../shop/price.py"})
    assert codes(verdict) == {RefusalCode.CHANGED_OUTSIDE_RIGHTS}
    assert "tests/test_linked.py" in verdict.explain()


async def test_tests_that_pass_at_once_are_never_red(lab, shop, codes):
    verdict = await lab.judge_red(
        shop,
        {
            "tests/test_more.py": "from shop.price import gross\n\ndef test_again():\n"
            "    assert gross(1) == 2\n"
        },
    )
    assert codes(verdict) == {RefusalCode.NO_RED_TEST}
    assert verdict.evidence.characterisation == ("tests.test_more::test_again",)
    assert "tests.test_more::test_again" in verdict.explain()


async def test_a_skipped_test_is_no_red(lab, shop, codes):
    text = "import pytest\n\n@pytest.mark.skip\ndef test_later():\n    assert False\n"
    verdict = await lab.judge_red(shop, {"tests/test_later.py": text})
    assert codes(verdict) == {RefusalCode.NO_RED_TEST}
    assert "skipped" in verdict.explain()


async def test_broken_tests_are_told_from_red_ones(lab, shop, codes):
    verdict = await lab.judge_red(
        shop,
        {
            "tests/test_syntax.py": "def test_it(:\n    pass\n",
            "tests/test_dependency.py": "import not_installed_anywhere\n\ndef test_it():\n    assert False\n",
            "tests/test_support.py": "from tests.helpers import nothing\n\ndef test_it():\n"
            "    assert False\n",
            "tests/test_broken.py": """
                import math
                import pytest

                def test_fixture(no_such_fixture):
                    assert False

                def test_typo():
                    asert_equal(1, 2)

                def test_library():
                    math.no_such_function()

                @pytest.fixture
                def cart():
                    raise ValueError("no cart")

                def test_set_up(cart):
                    assert cart

                @pytest.mark.xfail(strict=True)
                def test_expected():
                    pass
                """,
        },
    )
    assert codes(verdict) == {RefusalCode.BROKEN_TEST}
    (refusal,) = verdict.refusals
    assert set(refusal.tests) == {
        "tests/test_syntax.py",
        "tests/test_dependency.py",
        "tests/test_support.py",
        "tests.test_broken::test_fixture",
        "tests.test_broken::test_typo",
        "tests.test_broken::test_library",
        "tests.test_broken::test_set_up",
        "tests.test_broken::test_expected",
    }
    for words in ("no_such_fixture", "syntax error", "not_installed_anywhere", "asert_equal", "no cart"):
        assert words in refusal.sentence


async def test_one_broken_test_spoils_an_honest_red(lab, shop, red_files, codes):
    verdict = await lab.judge_red(
        shop, {**red_files, "tests/test_broken.py": "def test_it(missing):\n    pass\n"}
    )
    assert codes(verdict) == {RefusalCode.BROKEN_TEST}
    assert verdict.evidence.red_files == ("tests/test_discount.py",)


async def test_failing_on_the_first_run_only_is_flaky(lab, shop, codes):
    text = """
        from pathlib import Path

        def test_once():
            mark = Path(__file__).with_name("ran-before")
            seen = mark.exists()
            mark.touch()
            assert seen
        """
    verdict = await lab.judge_red(shop, {"tests/test_once.py": text})
    assert codes(verdict) == {RefusalCode.FLAKY_TEST}
    assert verdict.evidence.red == ()
    assert verdict.evidence.flaky == ("tests.test_once::test_once",)


async def test_failing_differently_each_time_is_flaky(lab, shop, red_files, codes):
    text = """
        from pathlib import Path

        def test_changes_its_mind():
            mark = Path(__file__).with_name("ran-before")
            if mark.exists():
                raise KeyError("second")
            mark.touch()
            assert False
        """
    verdict = await lab.judge_red(shop, {**red_files, "tests/test_mind.py": text})
    assert codes(verdict) == {RefusalCode.FLAKY_TEST}


async def test_a_shared_fixture_that_breaks_other_tests_is_refused(lab, shop, red_files, codes):
    conftest = (
        "import pytest\n\n@pytest.fixture(autouse=True)\ndef broken():\n"
        "    raise RuntimeError('all of you')\n"
    )
    verdict = await lab.judge_red(shop, {**red_files, "conftest.py": conftest})
    assert RefusalCode.BASE_BROKEN in codes(verdict)
    assert "tests.test_price::test_gross" in verdict.explain()


async def test_a_conftest_that_skips_the_others_is_refused(lab, shop, red_files, codes):
    conftest = """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip)
        """
    verdict = await lab.judge_red(shop, {**red_files, "tests/conftest.py": conftest})
    assert RefusalCode.TEST_SILENCED in codes(verdict)


async def test_a_conftest_that_drops_the_others_is_refused(lab, shop, codes):
    conftest = """
        def pytest_collection_modifyitems(items):
            items[:] = [item for item in items if "new" in item.nodeid]
        """
    new = "def test_new():\n    assert False\n"
    verdict = await lab.judge_red(shop, {"tests/conftest.py": conftest, "tests/test_new.py": new})
    assert codes(verdict) == {RefusalCode.BASE_BROKEN}
    assert "tests.test_price::test_zero" in verdict.explain()


async def test_a_conftest_that_makes_up_failures_is_tampering(lab, shop, codes):
    conftest = """
        import pytest

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(item, call):
            outcome = yield
            report = outcome.get_result()
            if report.when == "call" and "lazy" in item.nodeid:
                report.outcome = "passed" if report.failed else "failed"
                report.longrepr = "made up"
        """
    tests = "def test_lazy():\n    assert False\n"
    verdict = await lab.judge_red(shop, {"tests/conftest.py": conftest, "tests/test_lazy.py": tests})
    assert codes(verdict) == {RefusalCode.TAMPERED}
    assert "tests.test_lazy::test_lazy" in verdict.explain()


async def test_deleting_tests_is_no_red(lab, shop, codes):
    verdict = await lab.judge_red(shop, {"tests/test_price.py": None})
    assert codes(verdict) == {RefusalCode.NO_TEST_ADDED}


async def test_removed_and_weakened_tests_are_shown_to_people(lab, shop):
    text = """
        import pytest
        from shop.price import gross

        @pytest.mark.skip
        def test_gross():
            assert gross(2) == 4

        def test_tax():
            assert gross(100) == 119
        """
    verdict = await lab.judge_red(shop, {"tests/test_price.py": text})
    assert verdict.passed, verdict.explain()
    assert any("removed" in note and "test_zero" in note for note in verdict.evidence.notes)
    assert any("skipped" in note and "test_gross" in note for note in verdict.evidence.notes)
