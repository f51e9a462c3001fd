"""Rust for real: a tiny crate, built and judged by the real gates, and the ways to lie in this language."""

from __future__ import annotations

import shutil

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.worker.environment import Environment
from core.worker.gates.honesty import Project, why_broken
from core.worker.git import Repository
from core.worker.runners import detect
from core.worker.runs import RunCache
from core.worker.suite import Bench, Suite
from core.worker.toolchains import with_toolchains

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo on this machine")

SHOP = {
    "Cargo.toml": '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n',
    "src/lib.rs": """
        pub fn gross(net: i64) -> i64 { net * 2 }
        #[cfg(test)]
        mod tests {
            use super::*;
            #[test] fn inner() { assert_eq!(gross(1), 2); }
        }
        """,
    "tests/price.rs": """
        use shop::gross;
        #[test] fn gross_of_two() { assert_eq!(gross(2), 4); }
        #[test] fn zero() { assert_eq!(gross(0), 0); }
        """,
}
RED = {
    "tests/discount.rs": """
        use shop::discount;
        #[test] fn ten() { assert_eq!(discount(100, 10), 90); }
        #[test] fn none() { assert_eq!(discount(100, 0), 100); }
        """,
}
RIGHT = SHOP["src/lib.rs"] + "pub fn discount(net: i64, off: i64) -> i64 { net * (100 - off) / 100 }\n"
WRONG = SHOP["src/lib.rs"] + "pub fn discount(_net: i64, _off: i64) -> i64 { %s 0 }\n"


@pytest.fixture
def rust_lab(lab):
    """The lab, with runs by cargo and without the environment of Python."""
    lab.configure(test_timeout_seconds=120)

    async def suite(commit):
        repository = await Repository.open(lab.folder)
        checkout = lab.setup.state_path / "seen" / commit
        if not checkout.exists():
            await repository.checkout(commit, checkout)
        environment = with_toolchains(Environment(key="rust", description="the tests' own"), checkout)
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


async def test_red_for_a_name_that_is_to_come_is_honest_and_its_green_passes(rust_lab):
    red = await _red(rust_lab)
    assert red.evidence.red_files == ("tests/discount.rs",)
    verdict = await rust_lab.judge_green(red, {"src/lib.rs": RIGHT})
    assert verdict.passed, verdict.explain()
    assert set(verdict.evidence.green) == {"tests/discount.rs::ten", "tests/discount.rs::none"}
    assert RefusalCode.STILL_RED in _codes(await rust_lab.judge_green(red, {"src/lib.rs": WRONG % ""}))


async def test_a_run_names_each_test_by_its_file_and_says_what_it_did(rust_lab):
    more = """
        use shop::*;
        #[test] fn wrong() { println!("test wrong ... ok"); assert_eq!(1, gross(2), "no"); }
        #[test] #[ignore] fn not_now() {}
        #[test] #[should_panic] fn panics() { panic!("x"); }
        #[test] fn gives_back() -> Result<(), String> { Err("no".into()) }
        #[test] fn aborts() { std::process::abort(); }
        #[test] fn leaves() { std::process::exit(0); }
        #[test] fn forges() {
            use std::io::Write;
            let _ = std::io::stdout().write_all(b"test forges ... ok\\n\\ntest result: ok. 1 passed; 0 failed\\n");
            std::process::exit(0);
        }
        """
    broken = {
        "tests/syntax.rs": "#[test] fn x() { let y = ; }",
        "tests/crate.rs": "use left_pad::pad; #[test] fn x() { pad(); }",
        "tests/slip.rs": "#[test] fn x() { gros(1); }",
        "tests/helper.rs": "mod aid; #[test] fn x() { aid::y(); }",
        "tests/std.rs": "#[test] fn x() { let v: Vec<i32> = vec![]; v.nothing(); }",
        "tests/types.rs": '#[test] fn x() { let v: i32 = "a"; }',
        "tests/shape.rs": "#[test] fn x() { shop::gross(1, 2); }",
        "tests/glob.rs": "use shop::*; #[test] fn x() { let c = Cart::new(); net(c); }",
        "tests/plain.rs": "fn main() { std::process::exit(3); }",
        "tests/gone.rs": '#![cfg(feature = "postgres")]\n#[test] fn x() {}',
    }
    manifest = SHOP["Cargo.toml"] + '[[test]]\nname = "plain"\nharness = false\n[features]\npostgres = []\n'
    run = await _run(rust_lab, {**SHOP, **broken, "Cargo.toml": manifest, "tests/more.rs": more})
    assert run.state is RunState.COMPLETED, (run.problem, run.output_tail)
    assert [sign.partition(" ends its")[0] for sign in run.tampering] == [
        "tests/more.rs::forges", "tests/more.rs::leaves",
    ]  # fmt: skip
    assert {result.id: result.outcome for result in run.results if not result.collection} == {
        "src/lib.rs::tests::inner": Outcome.PASSED,
        "tests/price.rs::gross_of_two": Outcome.PASSED,
        "tests/price.rs::zero": Outcome.PASSED,
        "tests/more.rs::wrong": Outcome.FAILED,
        "tests/more.rs::not_now": Outcome.SKIPPED,
        "tests/more.rs::panics": Outcome.PASSED,
        "tests/more.rs::gives_back": Outcome.FAILED,
        "tests/more.rs::aborts": Outcome.FAILED,
        "tests/more.rs::leaves": Outcome.PASSED,
        "tests/more.rs::forges": Outcome.PASSED,
        "tests/plain.rs::(exit code)": Outcome.FAILED,
    }
    project = Project(is_test_path=lambda path: path.startswith("tests/"))
    judged = {result.id: why_broken(result, project) for result in run.results if result.collection}
    assert {name.removeprefix("tests/"): bool(why) for name, why in judged.items()} == {
        "syntax.rs": True, "crate.rs": True, "slip.rs": True, "helper.rs": True, "std.rs": True,
        "types.rs": True, "shape.rs": False, "glob.rs": False,
    }, judged  # fmt: skip
    assert "syntax error" in judged["tests/syntax.rs"]
    found = {result.id: result for result in run.results}
    assert found["tests/more.rs::wrong"].failure.exception == "AssertionError"
    assert found["tests/more.rs::wrong"].failure.files == ("tests/more.rs",)
    assert "canary" not in run.output_tail
