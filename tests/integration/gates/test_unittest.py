"""unittest without pytest, for real: judged by the real gates, and the ways to lie with it."""

from __future__ import annotations

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.worker.environment import Environment
from core.worker.runners import detect

pytestmark = pytest.mark.timeout(180)  # a test here starts many programs

HEAD = "import unittest\nfrom shop.price import *\nimport shop.price as price\n"
CODE = "def gross(net):\n    return net * 2\n"
SHOP = {
    "shop/__init__.py": "",
    "shop/price.py": CODE,
    "tests/test_price.py": HEAD + "class Price(unittest.TestCase):\n"
    "    def test_gross(self):\n        self.assertEqual(gross(2), 4)\n",
}
RED = {
    "tests/test_discount.py": "import unittest\nfrom shop.price import discount\n"
    "class Discount(unittest.TestCase):\n"
    "    def test_ten(self):\n        self.assertEqual(discount(100, 10), 90)\n",
}
RIGHT = CODE + "def discount(net, off):\n    return net * (100 - off) / 100\n"
WRONG = CODE + "def discount(net, off):\n    return 0\n"


@pytest.fixture
def unittest_lab(lab):
    lab.configure(test_command="python -m unittest discover -s tests")
    return lab


async def _run(lab, files):
    commit = lab.commit(files)
    suite, repository = await lab.suite(commit)
    return await suite.run(await repository.tree_of(commit))


async def _red(lab):
    return await lab.red(lab.commit(SHOP), RED)


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


async def test_red_for_a_missing_name_is_honest_and_its_green_passes(unittest_lab):
    red = await _red(unittest_lab)
    assert red.evidence.red_files == ("tests/test_discount.py",)
    verdict = await unittest_lab.judge_green(red, {"shop/price.py": RIGHT})
    assert verdict.passed, verdict.explain()
    assert verdict.evidence.green == ("tests/test_discount.py::Discount::test_ten",)
    assert verdict.evidence.runner == "unittest"
    assert RefusalCode.STILL_RED in _codes(await unittest_lab.judge_green(red, {"shop/price.py": WRONG}))


async def test_a_run_names_each_test_by_its_file_and_says_what_it_did(unittest_lab):
    more = """
        import unittest
        class More(unittest.TestCase):
            def test_wrong(self):
                print("test_wrong ... ok")
                self.assertEqual(1, 2)
            @unittest.skip("later")
            def test_not_now(self): pass
            @unittest.expectedFailure
            def test_known(self): self.fail()
            def test_parts(self):
                with self.subTest(i=1): self.fail()
                with self.subTest(i=2): pass
            def test_leaves(self): raise SystemExit(0)
        """
    files = {**SHOP, "tests/test_more.py": more, "tests/test_syntax.py": "import unittest\ndef (:\n"}
    run = await _run(unittest_lab, files)
    assert (run.state, run.tampering, run.runner) == (RunState.COMPLETED, (), "unittest"), run.problem
    assert {result.id: result.outcome for result in run.results} == {
        "tests/test_price.py::Price::test_gross": Outcome.PASSED,
        "tests/test_more.py::More::test_wrong": Outcome.FAILED,
        "tests/test_more.py::More::test_not_now": Outcome.SKIPPED,
        "tests/test_more.py::More::test_known": Outcome.XFAILED,
        "tests/test_more.py::More::test_parts": Outcome.FAILED,
        "tests/test_more.py::More::test_leaves": Outcome.FAILED,
        "tests/test_syntax.py": Outcome.ERROR,
    }
    found = {result.id.rpartition("::")[2]: result for result in run.results}
    assert found["test_wrong"].failure.exception == "AssertionError"
    assert found["test_not_now"].skipped_by == "tests/test_more.py"
    assert found["tests/test_syntax.py"].failure.syntax_file == "tests/test_syntax.py"
    assert "canary" not in run.output_tail


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tests/test_discount.py": "import unittest\n"}, RefusalCode.TESTS_CHANGED),
        ({"shop/price.py": "import os\n" + CODE + "def discount(net, off):\n    os._exit(0)\n"},
         RefusalCode.NO_REPORT),
        ({"shop/price.py": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n" + WRONG},
         RefusalCode.TAMPERED),
        ({"shop/price.py": "import unittest\n"
          "unittest.TestCase.run = lambda self, result=None: result.addSuccess(self)\n" + WRONG},
         RefusalCode.TAMPERED),
        ({"shop/price.py": "import os\nfor fd in range(3, 4096):\n    try:\n        os.write(fd, b'x\\n')\n"
          "    except OSError:\n        pass\n" + WRONG}, RefusalCode.TAMPERED),
        ({"shop/price.py": "import unittest\n" + CODE
          + "def discount(net, off):\n    raise unittest.SkipTest('no')\n"}, RefusalCode.TEST_SILENCED),
        ({"sitecustomize.py": ""}, RefusalCode.TESTS_CHANGED),
    ],
    ids=["weakened", "ends the process", "assertions blunted", "runs nothing", "writes to what it inherits",
         "skips from the code", "customised"],
)  # fmt: skip
async def test_lies_are_refused(unittest_lab, change, code):
    verdict = await unittest_lab.judge_green(await _red(unittest_lab), change)
    assert code in _codes(verdict), verdict.explain()


def test_it_is_found_where_the_environment_has_no_pytest(tmp_path, lab):
    venv = tmp_path / ".venv"
    packages = venv / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").touch()
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("import unittest\n")
    (tmp_path / "setup.py").touch()
    environment = Environment(key="x", description="x", python=venv / "bin" / "python")
    assert detect(tmp_path, lab.setup, environment).name == "unittest"
    (packages / "_pytest").mkdir()
    assert detect(tmp_path, lab.setup, environment).name == "pytest"
