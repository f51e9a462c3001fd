"""`node --test` for real: small projects, judged by the real gates, and the ways to lie in this language."""

from __future__ import annotations

import shutil

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.worker.environment import Environment
from core.worker.git import Repository
from core.worker.runners import detect
from core.worker.runs import RunCache
from core.worker.suite import Bench, Suite

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node on this machine"),
]

SHOP = {
    "package.json": '{"name": "shop", "type": "module", "scripts": {"test": "node --test"}}',
    "src/price.js": "export const gross = (net) => net * 2;",
    "test/price.test.js": """
        import { test, describe, it } from 'node:test';
        import assert from 'node:assert/strict';
        import { gross } from '../src/price.js';
        test('gross', () => assert.equal(gross(2), 4));
        describe('zero', () => { it('stays', () => assert.equal(gross(0), 0)); });
        """,
}
RED = {
    "test/discount.test.js": """
        import { test } from 'node:test';
        import assert from 'node:assert/strict';
        import { discount } from '../src/price.js';
        test('discount', () => assert.equal(discount(100, 10), 90));
        test('none', () => assert.equal(discount(100, 0), 100));
        """,
}
RIGHT = (
    "export const gross = (net) => net * 2;\nexport const discount = (net, off) => net * (100 - off) / 100;\n"
)
WRONG = "export const gross = (net) => net * 2;\nexport const discount = () => 0;\n"
# What a test process says goes to its standard output, in node's own binary form.
REWRITES = """
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (said, ...rest) =>
  write(Buffer.from(Buffer.from(said).toString('latin1').replaceAll('test:fail', 'test:pass'), 'latin1'),
    ...rest);
"""


# These leave alone what Orchard adds.
OWN_REWRITES = REWRITES.replace(
    "  write(", "  String(said).includes('canary') ? write(said, ...rest) : write("
)
REPLACES = """
import module, { createRequire } from 'node:module';
const runner = createRequire(import.meta.url)('node:test');
const { test } = runner;
try { runner.test = (name, body) => test(name, name.includes('canary') ? body : () => {}); } catch {}
module.syncBuiltinESMExports();
"""


@pytest.fixture
def node_lab(lab):
    """The lab, with runs by node and without the environment of Python."""

    async def suite(commit):
        repository = await Repository.open(lab.folder)
        checkout = lab.setup.state_path / "seen" / commit
        if not checkout.exists():
            await repository.checkout(commit, checkout)
        environment = Environment(key="node", description="the tests' own")
        runner = detect(checkout, lab.setup, environment)
        bench = Bench(setup=lab.setup, environment=environment, machine=lab.machine, runner=runner)
        return Suite(
            repository=repository, bench=bench, cache=RunCache(lab.setup.state_path / "runs")
        ), repository

    lab.suite = suite
    return lab


async def _run(lab, files):
    commit = lab.commit(files)
    suite, repository = await lab.suite(commit)
    return await suite.run(await repository.tree_of(commit))


async def _red(lab):
    return await lab.red(lab.commit(SHOP), RED)


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


async def test_a_run_names_each_test_by_its_file_and_says_what_it_did(node_lab):
    more = """
        const { test, describe, it, beforeEach } = require('node:test');
        const assert = require('node:assert');
        test('wrong', () => assert.strictEqual(1, 2));
        test('not now', { skip: true }, () => {});
        test('later', { todo: true }, () => assert.fail());
        test('whole', async (t) => { await t.test('part', () => {}); });
        describe('hooked', () => { beforeEach(() => { throw new Error('no'); }); it('never', () => {}); });
        test('slip', () => gros());
        """
    run = await _run(node_lab, {**SHOP, "test/more.test.cjs": more})
    assert (run.state, run.tampering, run.runner) == (RunState.COMPLETED, (), "node")
    assert {result.id: result.outcome for result in run.results} == {
        "test/price.test.js::gross": Outcome.PASSED,
        "test/price.test.js::zero > stays": Outcome.PASSED,
        "test/more.test.cjs::wrong": Outcome.FAILED,
        "test/more.test.cjs::not now": Outcome.SKIPPED,
        "test/more.test.cjs::later": Outcome.XFAILED,
        "test/more.test.cjs::whole": Outcome.PASSED,
        "test/more.test.cjs::whole > part": Outcome.PASSED,
        "test/more.test.cjs::hooked > never": Outcome.ERROR,
        "test/more.test.cjs::slip": Outcome.FAILED,
    }
    found = {result.id.partition("::")[2]: result for result in run.results}
    assert found["wrong"].failure.exception == "AssertionError"
    assert found["wrong"].failure.files == ("test/more.test.cjs",)
    assert (found["slip"].failure.exception, found["slip"].failure.missing) == ("ReferenceError", "gros")
    assert found["not now"].skipped_by == "test/more.test.cjs"
    assert "canary" not in run.output_tail


async def test_red_for_a_missing_export_is_honest_and_its_green_passes(node_lab):
    red = await _red(node_lab)
    assert red.evidence.red_files == ("test/discount.test.js",)
    verdict = await node_lab.judge_green(red, {"src/price.js": RIGHT})
    assert verdict.passed, verdict.explain()
    assert set(verdict.evidence.green) == {"test/discount.test.js::discount", "test/discount.test.js::none"}
    assert RefusalCode.STILL_RED in _codes(await node_lab.judge_green(red, {"src/price.js": WRONG}))


async def test_a_broken_test_is_no_red(node_lab):
    use = "import { test } from 'node:test';"
    broken = {
        "test/syntax.test.js": f"{use} test('x', () => {{",
        "test/package.test.js": f"import {{ a }} from 'left-pad-of-nobody'; {use} test('x', () => a());",
        "test/name.test.js": f"{use} test('x', () => notThere());",
        "test/helper.test.js": f"import {{ a }} from './helper.js'; {use} test('x', () => a());",
    }
    verdict = await node_lab.judge_red(node_lab.commit(SHOP), broken)
    (refusal,) = [each for each in verdict.refusals if each.code is RefusalCode.BROKEN_TEST]
    assert {test.partition("::")[0] for test in refusal.tests} == set(broken), verdict.explain()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"test/discount.test.js": "import { test } from 'node:test'; test('discount', () => {});"},
         RefusalCode.TESTS_CHANGED),
        ({"test/discount.test.js": RED["test/discount.test.js"].replace("test('none'", "test.only('none'")},
         RefusalCode.TESTS_CHANGED),
        ({"package.json": SHOP["package.json"].replace("node --test", "node --test || true")},
         RefusalCode.TESTS_CHANGED),
        ({"package.json": SHOP["package.json"].replace("node --test", "node --test test/price.test.js")},
         RefusalCode.TESTS_CHANGED),
        ({"src/price.js": WRONG + "process.exit(0);"}, RefusalCode.TAMPERED),
        ({"src/price.js": WRONG + "process.on('exit', () => { process.exitCode = 0; });"},
         RefusalCode.STILL_RED),
        ({"src/price.js": "import assert from 'node:assert/strict';\nassert.equal = () => {};\n" + WRONG},
         RefusalCode.TAMPERED),
        ({"src/price.js": "import { beforeEach } from 'node:test'; beforeEach((t) => t.skip?.());\n" + WRONG},
         RefusalCode.TAMPERED),
        ({"src/price.js": "process.stdout.write = () => true;\n" + WRONG}, RefusalCode.STILL_RED),
        ({"src/price.js": REWRITES + WRONG}, RefusalCode.STILL_RED),
        ({"src/price.js": OWN_REWRITES + WRONG}, RefusalCode.STILL_RED),
        ({"src/price.js": REPLACES + WRONG}, RefusalCode.STILL_RED),
        ({"src/price.js": "import fs from 'node:fs';\nfor (let fd = 3; fd < 64; fd++) {"
          " try { fs.writeSync(fd, 'x\\n'); } catch {} }\n" + WRONG}, None),
    ],
    ids=["weakened", "focused", "exit code hidden", "fewer files", "ends the process", "exit code set",
         "assertions blunted", "skips from a hook", "report kept back", "report rewritten",
         "report rewritten but for the canaries", "tests replaced but for the canaries",
         "writes to what it inherits"],
)  # fmt: skip
async def test_lies_are_refused(node_lab, change, code):
    verdict = await node_lab.judge_green(await _red(node_lab), change)
    assert not verdict.passed
    assert code is None or code in _codes(verdict), verdict.explain()


async def test_a_test_may_start_node_itself(node_lab):
    """What is loaded for the canaries is not handed on."""
    text = """
        import { test } from 'node:test';
        import assert from 'node:assert';
        import { spawnSync } from 'node:child_process';
        test('own', () => {
          const asked = ['-p', 'String(process.env.NODE_OPTIONS)'];
          const ran = spawnSync(process.execPath, asked, { encoding: 'utf8' });
          assert.equal(ran.stdout.trim(), 'undefined', ran.stderr);
        });
        """
    run = await _run(node_lab, {**SHOP, "test/own.test.js": text})
    assert {result.outcome for result in run.results} == {Outcome.PASSED}, run.output_tail


async def test_a_skipped_test_is_told(node_lab):
    verdict = await node_lab.judge_red(
        node_lab.commit(SHOP),
        {
            **RED,
            "test/price.test.js": SHOP["test/price.test.js"].replace("test('gross'", "test.skip('gross'"),
        },
    )
    assert any("skipped" in note and "price.test.js::gross" in note for note in verdict.evidence.notes)


async def test_a_focused_test_hides_no_other(node_lab):
    text = SHOP["test/price.test.js"].replace("it('stays'", "it.only('stays'")
    package = SHOP["package.json"].replace("--test", "--test --test-only")
    run = await _run(node_lab, {**SHOP, "package.json": package, "test/price.test.js": text})
    assert run.tampering == ()
    assert {result.outcome for result in run.results} == {Outcome.PASSED}
    assert len(run.results) == 2


async def test_only_the_tests_of_selected_files_run(node_lab):
    commit = node_lab.commit(
        {**SHOP, "test/other.test.js": "import { test } from 'node:test'; test('o', () => {});"}
    )
    suite, repository = await node_lab.suite(commit)
    run = await suite.run_again(await repository.tree_of(commit), select=("test/other.test.js",))
    assert [result.id for result in run.results] == ["test/other.test.js::o"]


async def test_options_that_load_code_reach_the_test_processes(node_lab):
    package = SHOP["package.json"].replace("node --test", "node --import ./setup.mjs --test")
    text = """
        import { test } from 'node:test';
        import assert from 'node:assert';
        test('set up', () => assert.equal(globalThis.ready, true));
        """
    files = {"package.json": package, "setup.mjs": "globalThis.ready = true;", "test/ready.test.js": text}
    commit = node_lab.commit(files)
    suite, repository = await node_lab.suite(commit)
    run = await suite.run(await repository.tree_of(commit))
    assert {result.outcome for result in run.results} == {Outcome.PASSED}, run.output_tail
    assert suite.runner.is_runner_config("setup.mjs")


async def test_no_test_at_all_is_a_run_without_results(node_lab):
    run = await _run(node_lab, {"package.json": SHOP["package.json"], "src/price.js": RIGHT})
    assert (run.state, run.results) == (RunState.COMPLETED, ())


async def test_a_test_that_never_ends_runs_out_of_time(node_lab):
    node_lab.configure(test_timeout_seconds=2)
    text = """
        import { test } from 'node:test';
        test('hangs', () => new Promise(() => setInterval(() => {}, 1000)));
        """
    run = await _run(node_lab, {**SHOP, "test/hang.test.js": text})
    assert run.state is RunState.TIMED_OUT


async def test_a_project_below_the_top_knows_its_own_files(node_lab):
    node_lab.configure(folder="web")
    commit = node_lab.commit({f"web/{path}": text for path, text in {**SHOP, **RED}.items()})
    repository = await Repository.open(node_lab.folder)
    checkout = node_lab.setup.state_path / "below"
    await repository.checkout(commit, checkout)
    environment = Environment(key="node", description="the tests' own")
    runner = detect(checkout / "web", node_lab.setup, environment)
    bench = Bench(setup=node_lab.setup, environment=environment, machine=node_lab.machine, runner=runner)
    suite = Suite(repository=repository, bench=bench, cache=RunCache(node_lab.setup.state_path / "runs"))
    run = await suite.run_again(await repository.tree_of(commit), select=("web/test/discount.test.js",))
    (result,) = run.results
    assert (result.id, result.collection) == ("test/discount.test.js", True)
    assert (result.failure.missing, result.failure.owner_file) == ("discount", "web/src/price.js")
