"""Go for real: a tiny module, built and judged by the real gates, and the ways to lie in this language."""

from __future__ import annotations

import shutil

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.worker.gates.honesty import Project, why_broken

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("go") is None, reason="needs go on this machine"),
]

HEAD = 'package %s\n\nimport "testing"\n\n'
CODE = "package shop\n\nfunc Gross(net int) int { return net * 2 }\n"
SHOP = {
    "go.mod": "module example.com/shop\n\ngo 1.19\n",
    "price.go": CODE,
    "price_test.go": """
        package shop

        import "testing"

        func TestGross(t *testing.T) { if Gross(2) != 4 { t.Error("no") } }
        func TestZero(t *testing.T) { if Gross(0) != 0 { t.Error("no") } }
        """,
}
RED = {
    "discount_test.go": """
        package shop

        import "testing"

        func TestTen(t *testing.T) { if Discount(100, 10) != 90 { t.Error("no") } }
        func TestNone(t *testing.T) { if Discount(100, 0) != 100 { t.Error("no") } }
        """,
}
RIGHT = CODE + "func Discount(net int, off int) int { return net * (100 - off) / 100 }\n"
# Both ways at once: a report that is forged before the process ends, and an end that no runtime sees.
LIES = """
package shop

import ("os"; "syscall")

func Gross(net int) int { return net * 2 }
func Discount(net int, off int) int {
    os.Stdout.WriteString("--- PASS: TestTen (0.00s)\\nPASS\\n")
    if off == 10 { os.Exit(0) }
    syscall.Exit(0)
    return 0
}
"""


# An end with success where one test is asked for, and a failure where more than one is.
BY_ARGUMENTS = """
package shop

import ("os"; "strings"; "syscall")

func Gross(net int) int { return net * 2 }
func Discount(net int, off int) int {
    if strings.Contains(strings.Join(os.Args, " "), "|") { os.Exit(1) }
    syscall.Exit(0)
    return 0
}
"""


async def _red(lab):
    return await lab.red(lab.commit(SHOP), RED)


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


async def test_red_for_a_name_that_is_to_come_is_honest_and_its_green_passes(toolchain_lab):
    red = await _red(toolchain_lab)
    assert red.evidence.red_files == ("discount_test.go",)
    verdict = await toolchain_lab.judge_green(red, {"price.go": RIGHT})
    assert verdict.passed, verdict.explain()
    assert set(verdict.evidence.green) == {"discount_test.go::TestTen", "discount_test.go::TestNone"}


async def test_code_that_ends_the_process_with_success_is_refused(toolchain_lab):
    verdict = await toolchain_lab.judge_green(await _red(toolchain_lab), {"price.go": LIES})
    assert RefusalCode.TAMPERED in _codes(verdict), verdict.explain()
    assert "discount_test.go::TestNone" in verdict.explain()


async def test_code_that_looks_at_which_tests_its_process_was_asked_for_proves_nothing(toolchain_lab):
    verdict = await toolchain_lab.judge_green(await _red(toolchain_lab), {"price.go": BY_ARGUMENTS})
    assert not verdict.passed
    assert {"discount_test.go::TestTen", "discount_test.go::TestNone"} <= set(verdict.refusals[0].tests)


@pytest.mark.parametrize(
    "change",
    [
        {"discount_test.go": "package shop\n"},
        {"discount_test.go": RED["discount_test.go"].replace("{ if", '{ t.Skip(); if')},
        {"discount_test.go": "//go:build slow\n\n" + RED["discount_test.go"]},
        {"main_test.go": "package shop\n\nfunc TestMain(m *testing.M) {}\n"},
        {"testdata/discount.golden": "0\n"},
        {"go.mod": SHOP["go.mod"] + "replace example.com/shop => ./other\n"},
        {"go.work": "go 1.19\n"},
        {"vendor/github.com/stretchr/testify/assert/assert.go": "package assert\n"},
    ],
    ids=["weakened", "skipped", "build tag", "a main of tests", "snapshot", "replaced", "workspace",
         "a library's copy"],
)  # fmt: skip
async def test_changed_tests_are_refused_without_a_run(toolchain_lab, change):
    verdict = await toolchain_lab.judge_green(await _red(toolchain_lab), change)
    assert _codes(verdict) == {RefusalCode.TESTS_CHANGED}, verdict.explain()


async def test_a_run_names_each_test_by_its_file_and_says_what_it_did(toolchain_lab):
    files = {
        **SHOP,
        "more/more.go": "package more\n",
        "more/more_test.go": """
            package more_test

            import ("testing"; "fmt")

            func TestWrong(t *testing.T) { fmt.Println("--- PASS: TestWrong (0.00s)"); t.Fatal("no") }
            func TestNotNow(t *testing.T) { t.Skip("later") }
            func TestPart(t *testing.T) { t.Run("in", func(t *testing.T) { t.Fatal("part") }) }
            func TestPanics(t *testing.T) { panic("x") }
            func ExampleOf() { fmt.Println("1")
            // Output: 1
            }
            """,
        "more/syntax_test.go": "package more_test\n\nfunc TestX(t *testing.T) { x := }\n",
        "bad/bad.go": "package bad\n\ntype Cart struct{}\n",
        "bad/slip_test.go": HEAD % "bad_test" + "func TestX(t *testing.T) { gros(1) }\n",
        "bad/types_test.go": HEAD % "bad" + 'func TestY(t *testing.T) { var x int = "a"; _ = x }\n',
        "bad/to_come_test.go": HEAD % "bad" + "func TestZ(t *testing.T) { Cart{}.Total() }\n",
        "lost/lost_test.go": 'package lost\n\nimport ("testing"; "github.com/nobody/pad")\n\n'
        "func TestX(t *testing.T) { pad.Left() }\n",
    }
    run = await toolchain_lab.run(files)
    assert (run.state, run.tampering, run.runner) == (RunState.COMPLETED, (), "go"), run.problem
    assert {result.id: result.outcome for result in run.results if not result.collection} == {
        "price_test.go::TestGross": Outcome.PASSED,
        "price_test.go::TestZero": Outcome.PASSED,
        "more/more_test.go::TestWrong": Outcome.FAILED,
        "more/more_test.go::TestNotNow": Outcome.SKIPPED,
        "more/more_test.go::TestPart": Outcome.FAILED,
        "more/more_test.go::TestPanics": Outcome.FAILED,
        "more/more_test.go::ExampleOf": Outcome.PASSED,
    }
    project = Project(is_test_path=lambda path: path.endswith("_test.go"))
    judged = {result.id: why_broken(result, project) for result in run.results if result.collection}
    assert {name: bool(why) for name, why in judged.items()} == {
        "more/syntax_test.go": True, "bad/slip_test.go": True, "bad/types_test.go": True,
        "bad/to_come_test.go": False, "lost/lost_test.go": True,
    }, judged  # fmt: skip
    assert "syntax error" in judged["more/syntax_test.go"]
    assert "Canary" not in run.output_tail
