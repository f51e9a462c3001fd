"""vitest for real: TypeScript projects, judged by the real gates, and the ways to lie in this language.

Many lies stand in one project, each with a file of its own, so that few runs show them all.
"""

from __future__ import annotations

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.worker.gates.honesty import Project, why_broken

pytestmark = pytest.mark.timeout(180)  # a test here starts many programs

PACKAGE = '{"name": "shop", "type": "module", "scripts": {"test": "vitest run"}}'
CONFIG = """
    import { defineConfig } from 'vitest/config';
    export default defineConfig({ test: { setupFiles: ['./support/ready.ts'] } });
    """
BASE = {
    "package.json": PACKAGE,
    "vitest.config.ts": CONFIG,
    "support/ready.ts": "(globalThis as any).ready = true;",
    "src/price.ts": "export const gross = (net: number): number => net * 2;",
    "test/price.test.ts": """
        import { describe, expect, it, test } from 'vitest';
        import { gross } from '../src/price';
        test('gross', () => expect(gross(2)).toBe(4));
        describe('zero', () => { it('stays', () => expect(gross(0)).toBe(0)); });
        test('list', () => expect([gross(1)]).toMatchSnapshot());
        test('set up', () => expect((globalThis as any).ready).toBe(true));
        """,
    "test/__snapshots__/price.test.ts.snap": """
        // Vitest Snapshot v1, https://vitest.dev/guide/snapshot.html

        exports[`list 1`] = `
        [
          2,
        ]
        `;
        """,
}
RED = {
    "test/discount.test.ts": """
        import { expect, test } from 'vitest';
        import { discount } from '../src/discount';
        test('discount', () => expect(discount(100, 10)).toBe(90));
        test('shown', () => expect({ net: discount(50, 0) }).toMatchInlineSnapshot(`
          {
            "net": 50,
          }
        `));
        """,
    "test/tax.test.ts": """
        import { expect, test } from 'vitest';
        import { tax } from '../src/price';
        test.each([[100, 20], [0, 0]])('tax of %i', (net, due) => expect(tax(net)).toBe(due));
        """,
}
RIGHT = {
    "src/discount.ts": "export const discount = (net: number, off: number) => net * (100 - off) / 100;",
    "src/price.ts": "export const gross = (net: number) => net * 2;\nexport const tax = (n: any) => n / 5;",
}
WRONG = {
    "src/discount.ts": "export const discount = () => 0;",
    "src/price.ts": "export const gross = (net: number) => net * 2;\nexport const tax = () => 0;",
}
MORE = """
    import assert from 'node:assert';
    import { beforeAll, describe, expect, it, test } from 'vitest';
    test('wrong', () => expect(1).toBe(2));
    test('wrong by node', () => assert.equal(1, 2));
    test.skip('not now', () => {});
    test.todo('later');
    test.fails('known', () => { throw new Error('still'); });
    describe('one', () => { it('same', () => {}); });
    describe('two', () => { it('same', () => { throw new Error('no'); }); });
    describe('hooked', () => { beforeAll(() => { throw new Error('no'); }); it('never', () => {}); });
    test('slip', () => gros());
    test('unwritten', () => expect(1).toMatchSnapshot());
    test.concurrent('beside', async () => {});
    """
USE = "import { beforeAll, expect, test } from 'vitest';"
BROKEN = {
    "test/syntax.test.ts": ("test('x', () => {", "syntax error"),
    "test/package.test.ts": ("import 'left-pad-of-nobody';", "imports 'left-pad-of-nobody'"),
    "test/helper.test.ts": ("import './helper'; test('x', () => {});", "its own test/helper"),
    "test/set_up.test.ts": ("beforeAll(() => { throw new Error('no'); }); test('x', () => {});", "set-up"),
    "test/focus.test.ts": ("test.only('seen', () => {}); test('x', () => expect(1).toBe(2));", "focused"),
}
# Each module lies about the tests of a file that would otherwise fail.
LIES = {
    "globals": "Object.is = () => true;",
    "matchers": "import { expect } from 'vitest';"
    " expect.extend({ toBe: () => ({ pass: true, message: () => '' }) });",
    "core": "import assert from 'node:assert'; assert.equal = () => {};",
    "chai": "import { chai } from 'vitest'; chai.Assertion.prototype.assert = () => {};",
    "hook": "import { beforeEach } from 'vitest'; beforeEach((context) => context.skip());",
}


# These lie about their own test only, and leave Orchard's alone.
CURRENT = "const running = () => (globalThis as any).__vitest_worker__.current;\n"
OWN_LIES = {
    "fails": CURRENT + "export const f = () => { running().fails = true; };",
    "bodies": "import { beforeEach } from 'vitest'; import { setFn } from 'vitest/suite';"
    "beforeEach(({ task }) => { if (task.name === 'told') setFn(task as any, async () => {}); });"
    "export const f = () => {};",
    "result": CURRENT + "export const f = () => { for (const name of ['state', 'errors'])"
    " Object.defineProperty(running().result, name,"
    " { get: () => (name === 'state' ? 'pass' : undefined), set: () => {}, enumerable: true }); };",
    "state": CURRENT + "export const f = () => { Object.defineProperty(running().result, 'state',"
    " { get: () => 'pass', set: () => {}, enumerable: true }); };",
}


def _lying(what):
    own = "assert.equal(1, 2)" if what == "core" else "expect(1).toBe(2)"
    return (
        f"import assert from 'node:assert';\n{USE}\nimport '../src/{what}'; test('told', () => {{ {own}; }});"
    )


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


async def test_a_run_names_each_test_and_tells_broken_tests_and_lies_from_failures(js_lab):
    lies = {f"src/{what}.ts": text for what, text in LIES.items()}
    lies |= {f"test/{what}.lie.test.ts": _lying(what) for what in LIES}
    broken = {path: f"{USE}\n{text}" for path, (text, _) in BROKEN.items()}
    ends = {"src/ends.ts": "process.exit(0);", "test/ends.test.ts": f"{USE} import '../src/ends';"}
    ends["src/over.ts"] = "import fs from 'node:fs'; fs.writeFileSync('test/over.test.ts', '');"
    ends["test/over.test.ts"] = f"{USE} import '../src/over'; test('x', () => {{}});"
    commit = js_lab.commit({**BASE, **lies, **broken, **ends, "test/more.test.ts": MORE})
    suite, repository = await js_lab.suite(commit)
    run = await suite.run(await repository.tree_of(commit))
    assert (run.state, run.runner, run.exit_code) == (RunState.COMPLETED, "vitest", 1), run.problem
    found = {result.id: result for result in run.results}
    more = {name.partition("::")[2]: r.outcome for name, r in found.items() if "/more.test" in name}
    assert more == {
        "wrong": Outcome.FAILED,
        "wrong by node": Outcome.FAILED,
        "not now": Outcome.SKIPPED,
        "later": Outcome.XFAILED,
        "known": Outcome.XFAILED,
        "one > same": Outcome.PASSED,
        "two > same": Outcome.FAILED,
        "hooked > never": Outcome.ERROR,
        "slip": Outcome.FAILED,
        "unwritten": Outcome.FAILED,
        "beside": Outcome.PASSED,
    }
    assert found["test/price.test.ts::list"].outcome is Outcome.PASSED
    assert found["test/price.test.ts::set up"].outcome is Outcome.PASSED
    assert found["test/ends.test.ts"].outcome is Outcome.ERROR
    assert found["test/more.test.ts::wrong"].failure.exception == "AssertionError"
    assert found["test/more.test.ts::wrong"].failure.files == ("test/more.test.ts",)
    assert found["test/more.test.ts::not now"].skipped_by == "test/more.test.ts"

    project = Project(is_test_path=suite.runner.is_test_path)
    for path, (_, why) in BROKEN.items():
        (result,) = [result for result in run.results if result.file == path]
        assert why in why_broken(result, project), (path, result)
    assert "'gros'" in why_broken(found["test/more.test.ts::slip"], project)
    assert "snapshot" in why_broken(found["test/more.test.ts::unwritten"], project)
    assert why_broken(found["test/more.test.ts::wrong"], project) == ""

    told = " ".join(run.tampering)
    assert run.rewritten == ("test/over.test.ts",)
    for what in LIES:
        worked = Outcome.SKIPPED if what == "hook" else Outcome.PASSED
        assert found[f"test/{what}.lie.test.ts::told"].outcome is worked  # the lie works
        got = "skipped" if what == "hook" else "passed"
        assert f"test/{what}.lie.test.ts and that must be reported failed is {got}" in told, (what, told)
    assert "more.test.ts" not in told
    assert "canary" not in run.output_tail


async def test_lies_that_leave_orchards_tests_alone_are_told_or_in_vain(js_lab):
    files = {f"src/{what}.ts": text for what, text in OWN_LIES.items()}
    for what in OWN_LIES:
        body = "test('told', () => { f(); expect(1).toBe(2); });"
        files[f"test/{what}.test.ts"] = f"{USE} import {{ f }} from '../src/{what}';\n{body}"
    commit = js_lab.commit({"package.json": PACKAGE, **files})
    suite, repository = await js_lab.suite(commit)
    run = await suite.run(await repository.tree_of(commit))
    outcomes = {result.file: result.outcome for result in run.results}
    assert outcomes["test/fails.test.ts"] is Outcome.FAILED
    assert outcomes["test/bodies.test.ts"] is Outcome.FAILED
    told = " ".join(run.tampering)
    assert "test/result.test.ts" in told
    assert "test/state.test.ts" in told
    assert "fails.test.ts" not in told


async def test_an_honest_story_passes_and_what_is_not_done_or_hidden_does_not(js_lab):
    base = js_lab.commit(BASE)
    red = await js_lab.red(base, RED)
    assert red.evidence.red_files == ("test/discount.test.ts",)
    assert set(red.evidence.red) == {"test/tax.test.ts::tax of 100", "test/tax.test.ts::tax of 0"}
    verdict = await js_lab.judge_green(red, RIGHT)
    assert verdict.passed, verdict.explain()
    assert {"test/discount.test.ts::discount", "test/discount.test.ts::shown"} <= set(verdict.evidence.green)

    hides = CONFIG.replace("test: {", "test: { exclude: ['test/tax*'],")
    names = CONFIG.replace("test: {", "test: { testNamePattern: 'gross',")
    runs = CONFIG.replace("test: {", "test: { runner: './src/lie.ts', reporters: ['./src/lie.ts'],")
    snapshot = BASE["test/__snapshots__/price.test.ts.snap"].replace("2,", "3,")
    for lie in (
        {"test/tax.test.ts": RED["test/tax.test.ts"].replace("toBe(due)", "toBeDefined()")},
        {"test/tax.test.ts": RED["test/tax.test.ts"].replace("test.each", "test.skip.each")},
        {"test/discount.test.ts": RED["test/discount.test.ts"].replace("test('shown'", "test.only('shown'")},
        {"test/__snapshots__/price.test.ts.snap": snapshot},
        {"test/discount.test.ts": RED["test/discount.test.ts"].replace('"net": 50', '"net": 0')},
        {"package.json": PACKAGE.replace("vitest run", "vitest run || true")},
        {"support/ready.ts": LIES["matchers"]},
        {"vitest.config.ts": hides},
        {"vitest.config.ts": names},
        {"vitest.config.ts": runs},
        {"vite.config.ts": "export default { test: { exclude: ['**'] } };"},
        {"vitest.workspace.ts": "export default [];"},
    ):
        verdict = await js_lab.judge_green(red, {**WRONG, **lie})
        assert RefusalCode.TESTS_CHANGED in _codes(verdict), (lie, verdict.explain())


@pytest.mark.parametrize("path", ["vite.config.mts", "vitest.config.unit.ts", "support/ready.ts", ".npmrc"])
async def test_files_that_configure_vitest_are_known(js_lab, path):
    suite, _ = await js_lab.suite(js_lab.commit(BASE))
    assert suite.runner.is_runner_config(path)
    assert not suite.runner.is_runner_config("src/price.ts")
    assert suite.runner.reason == "package.json's test script is `vitest run`"
