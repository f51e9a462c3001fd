"""Test commands of people's own, isolation levels, and what cannot be run at all."""

from __future__ import annotations

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.errors import InvalidInput, Unavailable

pytestmark = pytest.mark.timeout(180)  # a test here starts many programs


async def _run(lab, commit):
    suite, repository = await lab.suite(commit)
    return await suite.run(await repository.tree_of(commit))


@pytest.mark.parametrize(
    "command",
    [
        "{python} -m pytest tests/test_price.py -x",
        "FLAVOUR=mint {python} -m pytest -k gross",
        "env FLAVOUR=mint {python} -m pytest -k gross",
        "cd tests && PYTHONPATH=..:$PYTHONPATH {python} -m pytest | cat; exit 1",
        "{python} -X dev -m pytest --junitxml={junit}",
        "{python} -X dev -m pytest --junitxml=own.xml --junitprefix=own -x",
    ],
)
async def test_a_command_that_is_a_pytest_call_is_watched(lab, shop, command):
    lab.configure(test_command=command)
    run = await _run(lab, shop)
    assert (run.runner, run.state, run.tampering) == ("pytest", RunState.COMPLETED, ()), run.problem
    assert "tests.test_price::test_gross" in {result.id for result in run.results}
    assert all(result.file == "tests/test_price.py" for result in run.results)


async def test_a_watched_command_that_tampers_is_noticed(lab, shop, red_files, codes):
    lab.configure(test_command="{python} -X dev -m pytest")
    red = await lab.red(shop, red_files)
    text = (
        "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n"
        "gross = discount = None\n"
    )
    verdict = await lab.judge_green(red, {"shop/price.py": text})
    assert codes(verdict) == {RefusalCode.TAMPERED}


_SCRIPT = """
    import sys, unittest
    from xml.sax.saxutils import quoteattr

    result = unittest.TestResult()
    suite = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
    names = [str(test.id()) for one in suite for group in one for test in getattr(group, "_tests", [group])]
    suite.run(result)
    bad = {test.id(): text for test, text in result.failures + result.errors}
    cases = "".join(
        f"<testcase classname={quoteattr(name.rpartition('.')[0])} name={quoteattr(name.rpartition('.')[2])}>"
        + (f"<failure message={quoteattr(bad[name])}/>" if name in bad else "")
        + "</testcase>"
        for name in names
    )
    open(sys.argv[1], "w").write(f"<testsuite>{cases}</testsuite>")
    sys.exit(bool(bad))
    """
_UNITTEST = """
    import unittest
    import shop.price

    class TestDiscount(unittest.TestCase):
        def test_discount(self):
            self.assertEqual(shop.price.discount(100, 10), 90)
    """


async def test_a_command_with_a_report_passes_the_gates(lab, green_files, codes):
    lab.configure(test_command="{python} run_tests.py {junit}")
    base = lab.commit(
        {
            "run_tests.py": _SCRIPT,
            "shop/__init__.py": "",
            "shop/price.py": "def gross(net):\n    return 2 * net\n",
            "tests/__init__.py": "",
            "tests/test_old.py": "import unittest\n\nclass TestOld(unittest.TestCase):\n"
            "    def test_old(self):\n        pass\n",
        }
    )
    red = await lab.red(base, {"tests/test_discount.py": _UNITTEST})
    assert red.evidence.red == ("tests.test_discount.TestDiscount::test_discount",)
    assert red.evidence.base_passed == ("tests.test_old.TestOld::test_old",)
    verdict = await lab.judge_green(red, green_files)
    assert verdict.passed, verdict.explain()
    lie = await lab.judge_green(red, {**green_files, "run_tests.py": "import sys\nsys.exit(0)\n"})
    assert codes(lie) == {RefusalCode.TESTS_CHANGED}
    crash = await lab.judge_green(red, {"shop/price.py": "import os\nos._exit(0)\n"})
    assert codes(crash) == {RefusalCode.NO_REPORT}


async def test_exit_code_only_is_allowed_and_shown(lab, shop, green_files, codes):
    lab.configure(test_command="{python} -m unittest discover -s tests -t . 2>&1")
    base = lab.commit(
        {
            "tests/__init__.py": "",
            "tests/test_old.py": _UNITTEST.replace("discount(100, 10), 90", "gross(1), 2"),
        },
        on=shop,
    )
    red = await lab.red(base, {"tests/test_discount.py": _UNITTEST})
    assert red.evidence.exit_code_only
    assert red.evidence.red == ("exit code",)
    verdict = await lab.judge_green(red, green_files)
    assert verdict.passed, verdict.explain()
    assert verdict.evidence.exit_code_only
    lie = await lab.judge_green(red, {"shop/price.py": "def gross(net):\n    return 3\n"})
    assert codes(lie) == {RefusalCode.STILL_RED}


async def test_the_weakest_isolation_level_gives_the_same_results(lab, shop):
    strong = await _run(lab, shop)
    lab.configure(isolation="process")
    weak = await _run(lab, shop)
    assert [(result.id, result.outcome) for result in weak.results] == [
        (result.id, result.outcome) for result in strong.results
    ]


async def test_a_run_sees_nothing_of_the_real_home_and_leaves_nothing_behind(lab, shop):
    base = lab.commit(
        {
            "tests/test_place.py": """
                import os, tempfile
                from pathlib import Path

                def test_place():
                    assert list(Path.home().iterdir()) in ([], [Path.home() / ".cache"])
                    assert not os.listdir(tempfile.gettempdir())
                    (Path.home() / "left").write_text("x")
                    Path("left").write_text("x")
                """
        },
        on=shop,
    )
    suite, repository = await lab.suite(base)
    first, second = await suite.run_twice(await repository.tree_of(base))
    for run in (first, second):
        assert {result.outcome for result in run.results} == {Outcome.PASSED}, run.output_tail
    assert list((lab.setup.state_path / "runs" / "live").iterdir()) == []


async def test_the_configuration_above_a_checkout_is_not_the_projects(lab, shop):
    """A state folder inside of another project, and no isolation that would hide it."""
    lab.configure(isolation="process", state_path=lab.setup.state_path / "nested")
    lab.setup.state_path.mkdir(exist_ok=True)
    (lab.setup.state_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (lab.setup.state_path / "conftest.py").write_text("raise RuntimeError('not yours')\n")
    run = await _run(lab, shop)
    assert run.state is RunState.COMPLETED, run.problem
    assert len(run.results) == 2


async def test_a_base_that_hangs_is_for_people_to_mend(lab, red_files):
    base = lab.commit({"tests/test_hang.py": "import time\ntime.sleep(600)\n"})
    lab.configure(test_timeout_seconds=1)
    with pytest.raises(Unavailable) as caught:
        await lab.judge_red(base, red_files)
    assert "1 seconds" in str(caught.value)
    assert "time-out" in caught.value.hint


async def test_a_command_that_hides_the_plugin_is_told_how_not_to(lab, shop):
    lab.configure(
        test_command="PYTHONPATH=. sh -c '{python} -m pytest'; true && PYTHONPATH=. {python} -m pytest"
    )
    run = await _run(lab, shop)
    assert run.state is RunState.CRASHED
    assert ":$PYTHONPATH" in run.problem


async def test_a_python_without_pytest_is_said_with_a_next_step(lab, shop, tmp_path):
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {lab.python} -S -E "$@"\n')
    bare.chmod(0o755)
    lab.python = bare
    with pytest.raises(Unavailable) as caught:
        await _run(lab, lab.commit({"a.py": ""}))
    assert "pytest cannot be imported" in caught.value.why
    assert "Install pytest" in caught.value.hint


async def test_pytests_own_project_is_told_why_its_tests_prove_nothing(lab):
    base = lab.commit({"src/_pytest/__init__.py": "", "testing/test_it.py": "def test_it():\n    pass\n"})
    with pytest.raises(Unavailable) as caught:
        await _run(lab, base)
    assert "this project is pytest itself" in caught.value.why
    assert "`test_command`" in caught.value.hint


@pytest.mark.parametrize("folder", ["nowhere", "out"])
async def test_a_folder_that_is_not_in_the_commit_is_said(lab, shop, folder):
    commit = lab.commit({"out.symlink": "/etc"}, on=shop)
    lab.configure(folder=folder)
    with pytest.raises(InvalidInput, match="no folder"):
        await _run(lab, commit)
