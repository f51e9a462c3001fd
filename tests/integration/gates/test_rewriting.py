"""Code that writes over tests, their data or their configuration while they run."""

from __future__ import annotations

import shutil

import pytest

from core.domain.evidence import RefusalCode, RunState

pytestmark = pytest.mark.timeout(180)  # a test here starts many programs

WRITES = """
    import pathlib

    tests = pathlib.Path(__file__).parents[1] / "tests"
    %s

    def gross(net):
        return net * 2

    def discount(net, percent):
        return net * (100 - percent) / 100
    """
EASY = "def test_gross():\\n    pass\\n\\ndef test_zero():\\n    pass\\n"
LIES = {
    "another test": f'(tests / "test_price.py").write_text("{EASY}")',
    "put back": """
    price = tests / "test_price.py"
    said = price.read_text()
    price.write_text("")
    price.write_text(said)
    """,
    "removed": '(tests / "test_price.py").unlink(missing_ok=True)',
    "configuration": '(tests / "conftest.py").write_text("collect_ignore = []")',
}


@pytest.mark.parametrize("lie", LIES)
async def test_code_that_writes_over_tests_is_refused(lab, red, lie):
    verdict = await lab.judge_green(red, {"shop/price.py": WRITES % LIES[lie]})
    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.TAMPERED], verdict.explain()
    wanted = "tests/conftest.py" if lie == "configuration" else "tests/test_price.py"
    assert verdict.refusals[0].files == (wanted,)
    assert "written over while the tests ran" in verdict.explain()


async def test_data_that_the_projects_tests_write_over_anyway_and_new_output_are_no_lie(lab):
    base = {
        "shop/__init__.py": "",
        "tests/data/last.txt": "0",
        "tests/test_last.py": """
            import pathlib

            def test_last():
                here = pathlib.Path(__file__).parent
                (here / "data" / "last.txt").write_text("1")
                (here / "data" / "new.txt").write_text("1")
                (here / "out").mkdir(exist_ok=True)
                (here / "out" / "conftest.py").write_text("")
            """,
    }
    red = await lab.red(
        lab.commit(base), {"tests/test_one.py": "from shop.one import one\ndef test_one(): assert one == 1\n"}
    )
    verdict = await lab.judge_green(red, {"shop/one.py": "one = 1\n"})
    assert verdict.passed, verdict.explain()


async def test_a_red_whose_tests_write_over_others_is_refused(lab, shop):
    over = """
        import pathlib

        def test_over():
            (pathlib.Path(__file__).parent / "test_price.py").write_text("")
            raise AssertionError
        """
    verdict = await lab.judge_red(shop, {"tests/test_over.py": over})
    assert RefusalCode.TAMPERED in {refusal.code for refusal in verdict.refusals}, verdict.explain()


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node on this machine")
async def test_node_files_written_over_by_another_are_told(lab):
    files = {
        "package.json": '{"name": "shop", "scripts": {"test": "node --test"}}',
        "test/a.test.js": """
            const { test } = require('node:test');
            require('fs').writeFileSync(`${__dirname}/b.test.js`, '');
            test('a', () => {});
            """,
        "test/b.test.js": "require('node:test').test('b', () => { throw new Error('no'); });",
    }
    commit = lab.commit(files)
    suite, repository = await lab.suite(commit)
    run = await suite.run(await repository.tree_of(commit))
    assert (run.state, run.rewritten) == (RunState.COMPLETED, ("test/b.test.js",)), run.problem


@pytest.mark.skipif(shutil.which("go") is None, reason="needs go on this machine")
async def test_what_a_driver_puts_back_is_its_own_and_the_rest_is_told(toolchain_lab):
    """The second package's tests are written over before they are built, and put back when they run."""
    head = 'package %s\n\nimport (\n\t"os"\n\t"testing"\n)\n\n'
    write = 'os.WriteFile("../b/b_test.go", []byte(%s), 0o644)'
    files = {
        "go.mod": "module example.com/shop\n\ngo 1.19\n",
        "a/a_test.go": head % "a" + "func TestA(t *testing.T) { %s }\n" % (write % "text")
        + "const text = `package b\nimport \"testing\"\nfunc TestB(t *testing.T) {}\n`\n",
        "b/b_test.go": head % "b" + 'func TestB(t *testing.T) { t.Fatal(os.Args) }\n',
        "b/later_test.go": "package b\n\nvar x = Later()\n",
    }  # fmt: skip
    run = await toolchain_lab.run(files)
    assert (run.state, run.rewritten) == (RunState.COMPLETED, ("b/b_test.go",)), run.problem
