"""jest for real: small projects, judged by the real gates, and the ways to lie in this language.

Many lies stand in one project, each with a file of its own, so that few runs show them all.
"""

from __future__ import annotations

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.worker.gates.honesty import Project, why_broken

pytestmark = pytest.mark.timeout(180)  # a test here starts many programs

PACKAGE = '{"name": "shop", "scripts": {"test": "jest"}, "jest": {"transform": {}}}'
BASE = {
    "package.json": PACKAGE,
    "src/price.js": "exports.gross = (net) => net * 2;",
    "test/price.test.js": """
        const { gross } = require('../src/price');
        test('gross', () => expect(gross(2)).toBe(4));
        describe('zero', () => { it('stays', () => expect(gross(0)).toBe(0)); });
        test('list', () => expect([gross(1)]).toMatchSnapshot());
        """,
    "test/__snapshots__/price.test.js.snap": """
        // Jest Snapshot v1, https://jestjs.io/docs/snapshot-testing

        exports[`list 1`] = `
        [
          2,
        ]
        `;
        """,
}
RED = {
    "test/discount.test.js": """
        const { discount } = require('../src/discount');
        test('discount', () => expect(discount(100, 10)).toBe(90));
        test('shown', () => expect({ net: discount(50, 0) }).toMatchInlineSnapshot(`
          {
            "net": 50,
          }
        `));
        """,
    "test/tax.test.js": """
        const { tax } = require('../src/price');
        test.each([[100, 20], [0, 0]])('tax of %i', (net, due) => expect(tax(net)).toBe(due));
        """,
}
RIGHT = {
    "src/discount.js": "exports.discount = (net, off) => net * (100 - off) / 100;",
    "src/price.js": "exports.gross = (net) => net * 2;\nexports.tax = (net) => net / 5;",
}
WRONG = {
    "src/discount.js": "exports.discount = () => 0;",
    "src/price.js": "exports.gross = (net) => net * 2;\nexports.tax = () => 0;",
}
MORE = """
    const assert = require('node:assert');
    test('wrong', () => expect(1).toBe(2));
    test('wrong by node', () => assert.equal(1, 2));
    test.skip('not now', () => {});
    test.todo('later');
    test.failing('known', () => { throw new Error('still'); });
    describe('one', () => { it('same', () => {}); });
    describe('two', () => { it('same', () => { throw new Error('no'); }); });
    describe('hooked', () => { beforeAll(() => { throw new Error('no'); }); it('never', () => {}); });
    test('slip', () => gros());
    test('unwritten', () => expect(1).toMatchSnapshot());
    test.concurrent('beside', async () => {});
    """
BROKEN = {
    "test/syntax.test.js": ("test('x', () => {", "syntax error"),
    "test/package.test.js": ("require('left-pad-of-nobody');", "imports 'left-pad-of-nobody'"),
    "test/helper.test.js": ("require('./helper'); test('x', () => {});", "its own test/helper"),
    "test/set_up.test.js": ("beforeAll(() => { throw new Error('no'); }); test('x', () => {});", "set-up"),
}
# Each module lies about the tests of a file that would otherwise fail.
STATE = """
    const all = Object.getOwnPropertySymbols(globalThis);
    const key = all.find((one) => globalThis[one]?.currentDescribeBlock);
    const running = () => globalThis[key].currentlyRunningTest;
    """
# These lie about their own test only, and leave Orchard's alone.
OWN_LIES = {
    "errors": STATE + "exports.f = () => { running().errors.push = () => 0; };",
    "bodies": STATE + "beforeEach(() => { if (running().name === 'told') running().fn = () => {}; });",
    "failing": STATE + "exports.f = () => { running().failing = true; };",
}
LIES = {
    "globals": "Object.is = () => true;",
    "matchers": "expect.extend({ toBe: () => ({ pass: true, message: () => '' }) });",
    "expect": "globalThis.expect = () => ({ toBe: () => {} });",
    "tests": "const real = test; globalThis.test = (name) => real(name, () => {});",
    "core": "require('node:assert').equal = () => {};",
}


def _configured(part):
    return PACKAGE.replace('"transform"', f'{part}, "transform"')


def _lying(what):
    own = "require('node:assert').equal(1, 2)" if what == "core" else "expect(1).toBe(2)"
    return f"require('../src/{what}'); test('told', () => {{ {own}; }});"


async def _run(lab, files):
    commit = lab.commit(files)
    suite, repository = await lab.suite(commit)
    return suite, await suite.run(await repository.tree_of(commit))


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


async def test_a_run_names_each_test_and_tells_broken_tests_and_lies_from_failures(js_lab):
    lies = {f"src/{what}.js": text for what, text in LIES.items()}
    lies |= {f"test/{what}.lie.test.js": _lying(what) for what in LIES}
    broken = {path: text for path, (text, _) in BROKEN.items()}
    over = "require('fs').writeFileSync(__filename, ''); test('x', () => {});"
    focus = "test.only('seen', () => {}); test('hidden', () => expect(1).toBe(2));"
    suite, run = await _run(
        js_lab,
        {
            **BASE,
            **lies,
            **broken,
            "test/more.test.js": MORE,
            "test/focus.test.js": focus,
            "test/over.test.js": over,
        },
    )
    assert (run.state, run.runner, run.exit_code) == (RunState.COMPLETED, "jest", 1), run.problem
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
    assert found["test/price.test.js::list"].outcome is Outcome.PASSED
    assert found["test/focus.test.js::hidden"].outcome is Outcome.FAILED  # `.only` hides nothing
    assert found["test/more.test.js::wrong"].failure.exception == "AssertionError"
    assert found["test/more.test.js::wrong by node"].failure.exception == "AssertionError"
    assert found["test/more.test.js::wrong"].failure.files == ("test/more.test.js",)
    assert found["test/more.test.js::not now"].skipped_by == "test/more.test.js"

    project = Project(is_test_path=suite.runner.is_test_path)
    for path, (_, why) in BROKEN.items():
        (result,) = [result for result in run.results if result.file == path]
        assert why in why_broken(result, project), (path, result)
    assert "'gros'" in why_broken(found["test/more.test.js::slip"], project)
    assert "snapshot" in why_broken(found["test/more.test.js::unwritten"], project)
    assert why_broken(found["test/more.test.js::wrong"], project) == ""

    told = " ".join(run.tampering)
    assert run.rewritten == ("test/over.test.js",)
    for what in LIES:
        assert found[f"test/{what}.lie.test.js::told"].outcome is Outcome.PASSED  # the lie works
        assert f"test/{what}.lie.test.js and that must be reported failed is passed" in told, (what, told)
    assert "more.test.js" not in told
    assert "canary" not in run.output_tail


async def test_lies_that_leave_orchards_tests_alone_are_told_or_in_vain(js_lab):
    files = {f"src/{what}.js": f"exports.f = () => {{}};\n{text}" for what, text in OWN_LIES.items()}
    for what in OWN_LIES:
        body = f"const {{ f }} = require('../src/{what}'); test('told', () => {{ f(); expect(1).toBe(2); }});"
        files[f"test/{what}.test.js"] = body
    _, run = await _run(js_lab, {"package.json": PACKAGE, **files})
    assert run.tampering == ("test/errors.test.js::told raised an error and was reported as passed.",)
    outcomes = {result.file: result.outcome for result in run.results}
    assert outcomes["test/bodies.test.js"] is Outcome.FAILED
    assert outcomes["test/failing.test.js"] is Outcome.FAILED


async def test_an_honest_story_passes_and_what_is_not_done_or_hidden_does_not(js_lab):
    base = js_lab.commit(BASE)
    red = await js_lab.red(base, RED)
    assert red.evidence.red_files == ("test/discount.test.js",)
    assert set(red.evidence.red) == {"test/tax.test.js::tax of 100", "test/tax.test.js::tax of 0"}
    verdict = await js_lab.judge_green(red, RIGHT)
    assert verdict.passed, verdict.explain()
    assert {"test/discount.test.js::discount", "test/discount.test.js::shown"} <= set(verdict.evidence.green)

    snapshot = BASE["test/__snapshots__/price.test.js.snap"].replace("2,", "3,")
    inline = RED["test/discount.test.js"].replace('"net": 50', '"net": 0')
    for lie in (
        {"test/tax.test.js": RED["test/tax.test.js"].replace("toBe(due)", "toBeDefined()")},
        {"test/tax.test.js": RED["test/tax.test.js"].replace("test.each", "test.skip.each")},
        {"test/discount.test.js": RED["test/discount.test.js"].replace("test('shown'", "test.only('shown'")},
        {"test/__snapshots__/price.test.js.snap": snapshot},
        {"test/discount.test.js": inline},
        {"package.json": _configured('"testPathIgnorePatterns": ["tax"]')},
        {"package.json": PACKAGE.replace('"jest"}', '"jest || true"}')},
        {"package.json": _configured('"setupFilesAfterEnv": ["./src/m.js"]'), "src/m.js": LIES["matchers"]},
        {"package.json": _configured('"reporters": ["./src/lie.js"]')},
        {"jest.config.js": "module.exports = { testNamePattern: 'gross' };"},
        {"babel.config.js": "module.exports = {};"},
    ):  # fmt: skip
        verdict = await js_lab.judge_green(red, {**WRONG, **lie})
        assert RefusalCode.TESTS_CHANGED in _codes(verdict), (lie, verdict.explain())


async def test_a_process_that_ends_or_a_report_that_is_written_over_proves_nothing(js_lab):
    red = await js_lab.red(js_lab.commit(BASE), RED)
    ends = await js_lab.judge_green(
        red, {**WRONG, "src/price.js": WRONG["src/price.js"] + "process.exit(0);"}
    )
    assert {RefusalCode.STILL_RED, RefusalCode.BASE_BROKEN} <= _codes(ends), ends.explain()
    over = """
        const fs = require('fs');
        const path = require('path');
        const folder = path.join(process.cwd(), '..');
        for (const own of fs.readdirSync(folder)) {
          const reports = path.join(folder, own, 'report');
          if (fs.existsSync(reports)) {
            fs.rmSync(reports, { recursive: true, force: true });
            fs.writeFileSync(reports, '{}');
          }
        }
        """
    verdict = await js_lab.judge_green(red, {**WRONG, "src/price.js": WRONG["src/price.js"] + over})
    assert not verdict.passed
    assert "no usable result" in verdict.explain() or RefusalCode.TAMPERED in _codes(verdict)


async def test_modules_by_import_and_a_folder_below_the_top(js_lab):
    js_lab.configure(folder="web")
    script = "NODE_OPTIONS=--experimental-vm-modules npx jest --runInBand --coverage=false"
    files = {
        "package.json": PACKAGE.replace('"jest"}', f'"{script}"}}, "type": "module"'),
        "src/price.js": "export const gross = (net) => net * 2;",
        "test/price.test.js": """
            import { gross } from '../src/price.js';
            import { jest } from '@jest/globals';
            test('gross', () => { jest.fn(); expect(gross(2)).toBe(4); });
            """,
        "test/export.test.js": "import { net } from '../src/price.js'; test('x', () => net());",
        "test/module.test.js": "import { net } from '../src/net.js'; test('x', () => net());",
    }
    commit = js_lab.commit({f"web/{path}": text for path, text in files.items()})
    suite, repository = await js_lab.suite(commit)
    run = await suite.run_again(await repository.tree_of(commit), select=())
    assert run.tampering == ()
    found = {result.id: result for result in run.results}
    assert found["test/price.test.js::gross"].outcome is Outcome.PASSED, run.output_tail
    missing = found["test/export.test.js"].failure
    assert (missing.exception, missing.missing, missing.owner_file) == (
        "ImportError",
        "net",
        "web/src/price.js",
    )
    gone = found["test/module.test.js"].failure
    assert (gone.exception, gone.owner_file) == ("ModuleNotFoundError", "web/src/net.js")
    project = Project(is_test_path=suite.runner.is_test_path)
    assert [why_broken(found[name], project) for name in ("test/export.test.js", "test/module.test.js")] == [
        "",
        "",
    ]


@pytest.mark.parametrize("path", ["jest.config.ts", "web/package.json", "babel.config.js", "tsconfig.json"])
async def test_files_that_configure_jest_are_known(js_lab, path):
    suite, _ = await js_lab.suite(js_lab.commit(BASE))
    assert suite.runner.is_runner_config(path)
    assert suite.runner.is_test_path("test/__snapshots__/price.test.js.snap")
    assert suite.runner.reason == "package.json's test script is `jest`"
