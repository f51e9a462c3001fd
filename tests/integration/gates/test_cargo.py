"""Rust for real: a tiny crate, built and judged by the real gates, and the ways to lie in this language."""

from __future__ import annotations

import shutil

import pytest

from core.domain.evidence import Outcome, RefusalCode, RunState
from core.worker.gates.honesty import Project, why_broken

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo on this machine"),
]

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


async def _red(lab):
    return await lab.red(lab.commit(SHOP), RED)


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


async def test_red_for_a_name_that_is_to_come_is_honest_and_its_green_passes(toolchain_lab):
    red = await _red(toolchain_lab)
    assert red.evidence.red_files == ("tests/discount.rs",)
    verdict = await toolchain_lab.judge_green(red, {"src/lib.rs": RIGHT})
    assert verdict.passed, verdict.explain()
    assert set(verdict.evidence.green) == {"tests/discount.rs::ten", "tests/discount.rs::none"}
    assert RefusalCode.STILL_RED in _codes(await toolchain_lab.judge_green(red, {"src/lib.rs": WRONG % ""}))


async def test_a_run_names_each_test_by_its_file_and_says_what_it_did(toolchain_lab):
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
            let said = b"test forges ... ok\\n\\ntest result: ok. 1 passed; 0 failed\\n";
            let _ = std::io::stdout().write_all(said);
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
    run = await toolchain_lab.run({**SHOP, **broken, "Cargo.toml": manifest, "tests/more.rs": more})
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


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tests/discount.rs": "#[test] fn ten() {} #[test] fn none() {}"}, RefusalCode.TESTS_CHANGED),
        ({"tests/discount.rs": RED["tests/discount.rs"].replace("fn ten", "#[ignore] fn ten")},
         RefusalCode.TESTS_CHANGED),
        ({"tests/snapshots/discount__ten.snap": "0\n"}, RefusalCode.TESTS_CHANGED),
        ({"src/lib.rs": RIGHT.replace("assert_eq!(gross(1), 2)", "")}, RefusalCode.TESTS_CHANGED),
        ({"src/lib.rs": RIGHT.replace("#[test] fn inner", "#[test] #[ignore] fn inner")},
         RefusalCode.TESTS_CHANGED),
        ({"src/lib.rs": "#[macro_export] macro_rules! assert_eq { ($($x:tt)*) => {} }\n" + WRONG % ""},
         RefusalCode.TESTS_CHANGED),
        ({"Cargo.toml": SHOP["Cargo.toml"] + '[[test]]\nname = "discount"\nharness = false\n'},
         RefusalCode.TESTS_CHANGED),
        ({"Cargo.toml": SHOP["Cargo.toml"] + '[lib]\ntest = false\n'}, RefusalCode.TESTS_CHANGED),
        ({"Cargo.toml": SHOP["Cargo.toml"] + '[dev-dependencies]\npretty_assertions = { path = "mine" }\n'},
         RefusalCode.TESTS_CHANGED),
        ({"Cargo.toml": SHOP["Cargo.toml"] + '[patch.crates-io]\nx = { path = "mine" }\n'},
         RefusalCode.TESTS_CHANGED),
        ({".cargo/config.toml": "[build]\nrustflags = ['--cfg', 'quiet']\n"}, RefusalCode.TESTS_CHANGED),
        ({".config/nextest.toml": "[profile.default]\ndefault-filter = 'x'\n"}, RefusalCode.TESTS_CHANGED),
        ({"build.rs": "fn main() {}"}, RefusalCode.TESTS_CHANGED),
    ],
    ids=["weakened", "skipped", "snapshot rewritten", "weakened inside", "skipped inside", "macro",
         "harness", "left out", "a library of its own", "patched", "flags", "filter", "build script"],
)  # fmt: skip
async def test_changed_tests_are_refused_without_a_run(toolchain_lab, change, code):
    verdict = await toolchain_lab.judge_green(await _red(toolchain_lab), change)
    assert _codes(verdict) == {code}, verdict.explain()
    assert verdict.evidence.tree
    assert verdict.evidence.seconds == 0.0


async def test_code_that_ends_the_process_with_success_or_forges_a_report_is_refused(toolchain_lab):
    """Three ways in one build: at once, when the process ends, and in place of a panic."""
    lies = """
        pub fn gross(net: i64) -> i64 { net * 2 }
        pub fn discount(_net: i64, off: i64) -> i64 {
            use std::io::Write;
            if off == 10 {
                let said = b"test ten ... ok\\n\\ntest result: ok. 2 passed; 0 failed\\n";
                let _ = std::io::stdout().write_all(said);
                std::process::exit(0);
            }
            extern "C" fn bye() { unsafe { _exit(0) } }
            extern "C" { fn atexit(f: extern "C" fn()) -> i32; fn _exit(code: i32) -> !; }
            unsafe { atexit(bye); }
            -1
        }
        #[cfg(test)]
        mod tests {
            use super::*;
            #[test] fn inner() { assert_eq!(gross(1), 2); }
        }
        """
    verdict = await toolchain_lab.judge_green(await _red(toolchain_lab), {"src/lib.rs": lies})
    assert _codes(verdict) == {RefusalCode.TAMPERED}, verdict.explain()
    assert "tests/discount.rs::ten" in verdict.explain()
    assert "tests/discount.rs::none" in verdict.explain()


async def test_a_program_that_another_replaces_is_told(toolchain_lab):
    """The library's tests run before those of `tests/discount.rs`, which then always pass."""
    swaps = """
        pub fn gross(net: i64) -> i64 { net * 2 }
        pub fn discount(_net: i64, _off: i64) -> i64 { 0 }
        #[cfg(test)]
        mod tests {
            #[test] fn inner() {
                let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
                for found in std::fs::read_dir(folder).unwrap() {
                    let path = found.unwrap().path();
                    let name = path.file_name().unwrap().to_str().unwrap();
                    if name.starts_with("discount-") && !name.contains('.') {
                        let aside = path.with_extension("aside");
                        std::fs::rename(&path, &aside).unwrap();
                        std::fs::copy(&aside, &path).unwrap();
                    }
                }
            }
        }
        """
    run = await toolchain_lab.run({**SHOP, **RED, "src/lib.rs": swaps})
    assert run.tampering == (
        "The program of discount's tests was written over after Orchard had built it.",
    ), run.output_tail


async def test_a_panic_hook_that_ends_the_process_is_refused(toolchain_lab):
    hook = "std::panic::set_hook(Box::new(|_| std::process::exit(0)));"
    verdict = await toolchain_lab.judge_green(await _red(toolchain_lab), {"src/lib.rs": WRONG % hook})
    assert _codes(verdict) == {RefusalCode.TAMPERED}, verdict.explain()


async def test_a_test_file_inside_of_the_code_that_does_not_compile_keeps_no_other_from_running(
    toolchain_lab,
):
    files = {
        **SHOP,
        "src/lib.rs": SHOP["src/lib.rs"] + "#[cfg(test)] mod price_tests;\n",
        "src/price_tests.rs": "use super::discount;\n#[test] fn ten() { assert_eq!(discount(1, 2), 3); }\n",
    }
    run = await toolchain_lab.run(files)
    assert run.tampering == ()
    assert {result.id: result.outcome for result in run.results} == {
        "src/price_tests.rs": Outcome.ERROR,
        "src/lib.rs::tests::inner": Outcome.PASSED,
        "tests/price.rs::gross_of_two": Outcome.PASSED,
        "tests/price.rs::zero": Outcome.PASSED,
    }
    (broken,) = [result for result in run.results if result.collection]
    assert (broken.failure.missing, broken.failure.owner_file) == ("discount", "src/lib.rs")


async def test_only_the_tests_of_selected_files_run(toolchain_lab):
    commit = toolchain_lab.commit(SHOP)
    suite, repository = await toolchain_lab.suite(commit)
    run = await suite.run_again(await repository.tree_of(commit), select=("tests/price.rs",))
    assert {result.id for result in run.results} == {"tests/price.rs::gross_of_two", "tests/price.rs::zero"}


async def test_a_workspace_below_the_top_runs_whole_also_without_a_sandbox(toolchain_lab):
    toolchain_lab.configure(folder="app", isolation="process")
    member = '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n'
    files = {
        "app/Cargo.toml": '[workspace]\nmembers = ["lib", "tool"]\nresolver = "2"\n',
        "app/lib/Cargo.toml": member % "shop-lib",
        "app/lib/src/lib.rs": "#![no_std]\npub mod price;\n",
        "app/lib/src/price.rs": "pub fn net() -> i32 { 1 }\n#[cfg(test)] mod tests { #[test] fn one() {} }\n",
        "app/tool/Cargo.toml": member % "tool",
        "app/tool/src/main.rs": 'fn main() { println!("{}", 7); }\n#[test] fn own() {}\n',
        "app/tool/tests/said.rs": """
            #[test] fn seven() {
                let said = std::process::Command::new(env!("CARGO_BIN_EXE_tool")).output().unwrap().stdout;
                assert_eq!(said, b"7\\n");
            }
            #[test] fn here() { assert!(std::path::Path::new("src/main.rs").exists()); }
            """,
        "app/lib/tests/lost.rs": "use shop_lib::price::gross; #[test] fn x() { gross(); }\n",
    }
    run = await toolchain_lab.run(files)
    assert (run.state, run.tampering) == (RunState.COMPLETED, ()), (run.problem, run.output_tail)
    assert {result.id: (result.outcome, result.file) for result in run.results} == {
        "lib/src/lib.rs::price::tests::one": (Outcome.PASSED, "lib/src/price.rs"),
        "tool/src/main.rs::own": (Outcome.PASSED, "tool/src/main.rs"),
        "tool/tests/said.rs::seven": (Outcome.PASSED, "tool/tests/said.rs"),
        "tool/tests/said.rs::here": (Outcome.PASSED, "tool/tests/said.rs"),
        "lib/tests/lost.rs": (Outcome.ERROR, "lib/tests/lost.rs"),
    }
    (lost,) = [result for result in run.results if result.collection]
    assert (lost.failure.missing, lost.failure.owner_file) == ("gross", "app/lib/src/lib.rs")
