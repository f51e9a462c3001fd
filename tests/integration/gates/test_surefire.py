"""Java for real: a tiny Maven project, built and judged by the real gates, and the ways to lie with Maven.

A run takes seconds of processor time, so each shows many things.
"""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from core.domain.evidence import Evidence, Outcome, RefusalCode, RunState
from core.domain.lifecycles import Phase
from core.worker.gates.honesty import Project, why_broken
from core.worker.toolchains import maven_repository

_NEEDED = (
    "org/apache/maven/plugins/maven-surefire-plugin/3.2.5",
    "org/apache/maven/plugins/maven-compiler-plugin/3.11.0",
    "org/apache/maven/plugins/maven-resources-plugin/3.3.1",
    "org/apache/maven/surefire/surefire-junit-platform/3.2.5",
    "org/junit/jupiter/junit-jupiter/5.10.2",
)
_absent = [path for path in _NEEDED if not list((maven_repository() / path).glob("*.jar"))]
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not shutil.which("mvn") or not shutil.which("javac"), reason="needs Maven and a JDK"),
    pytest.mark.skipif(bool(_absent), reason=f"Maven has not downloaded {', '.join(_absent)}"),
]

_POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>shop</groupId><artifactId>shop</artifactId><version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies><dependency>
    <groupId>org.junit.jupiter</groupId><artifactId>junit-jupiter</artifactId><version>5.10.2</version>
    <scope>test</scope>
  </dependency></dependencies>
  <build><plugins>
    <plugin><artifactId>maven-surefire-plugin</artifactId><version>3.2.5</version>%s</plugin>
    <plugin><artifactId>maven-compiler-plugin</artifactId><version>3.11.0</version></plugin>
    <plugin><artifactId>maven-resources-plugin</artifactId><version>3.3.1</version></plugin>
  </plugins></build>
</project>
"""
_HEAD = "package shop;\nimport static org.junit.jupiter.api.Assertions.*;\nimport org.junit.jupiter.api.*;\n"
SHOP = {
    "pom.xml": _POM % "",
    "src/main/java/shop/Price.java": "package shop;\npublic class Price {\n"
    "  public static int gross(int net) { return net * 2; }\n}\n",
    "src/test/java/shop/PriceTest.java": _HEAD + "class PriceTest {\n"
    "  @Test void gross() { assertEquals(4, Price.gross(2)); }\n"
    "  @Nested class Of { @Test void zero() { assertEquals(0, Price.gross(0)); } }\n}\n",
}
RED = {
    "src/test/java/shop/DiscountTest.java": _HEAD + "class DiscountTest {\n"
    "  @Test void ten() { assertEquals(90, Price.discount(100, 10)); }\n}\n",
}


def _price(body):
    text = SHOP["src/main/java/shop/Price.java"]
    return text[: text.rindex("}")] + f"  public static int discount(int net, int off) {{ {body} }}\n}}\n"


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


async def test_red_for_a_name_that_is_to_come_is_honest_and_its_green_passes(toolchain_lab):
    red = await toolchain_lab.red(toolchain_lab.commit(SHOP), RED)
    assert red.evidence.red_files == ("src/test/java/shop/DiscountTest.java",)
    right = {"src/main/java/shop/Price.java": _price("return net * (100 - off) / 100;")}
    verdict = await toolchain_lab.judge_green(red, right, phase=Phase.REFACTOR)
    assert verdict.passed, verdict.explain()
    assert verdict.evidence.green == ("shop.DiscountTest::ten",)


# Waits beside Maven until a report has a failure, and takes it out.
_OVER = """
for i in $(seq 4000); do
  report=target/surefire-reports/TEST-shop.DiscountTest.xml
  if grep -q '</testsuite>' $report 2>/dev/null; then sed -i -e '/<failure/,/<.failure>/d' $report; exit; fi
  sleep 0.01
done
"""


async def test_a_report_that_is_written_over_after_a_test_and_code_that_ends_the_process_are_told(
    toolchain_lab,
):
    starts = 'try { new ProcessBuilder("setsid", "sh", "over.sh").start(); } catch (Exception e) {} return 0;'
    price = _price(starts)
    ends = "  public static void end() { Runtime.getRuntime().halt(0); }\n}\n"
    lie = {
        "src/main/java/shop/Price.java": price[: price.rindex("}")] + ends,
        "over.sh": _OVER,
        # By its name after the test whose report is written over, and before Orchard's.
        "src/test/java/shop/EndTest.java": _HEAD + "class EndTest { @Test void end() { Price.end(); } }\n",
    }
    run = await toolchain_lab.run({**SHOP, **RED, **lie})
    told = [sign for sign in run.tampering if "Maven said that tests of shop.DiscountTest failed" in sign]
    seen = {result.id: result.outcome for result in run.results}.get("shop.DiscountTest::ten")
    assert told or seen is Outcome.FAILED, run.output_tail  # the lie may come too late
    assert any("must be reported failed is missing" in sign for sign in run.tampering), run.output_tail


@pytest.mark.parametrize(
    "change",
    [
        {"src/test/java/shop/DiscountTest.java": _HEAD + "class DiscountTest { @Test void ten() {} }\n"},
        {"src/test/java/shop/DiscountTest.java": RED["src/test/java/shop/DiscountTest.java"].replace(
            "@Test", "@Disabled @Test")},
        {"src/test/resources/discount.approved.txt": "0\n"},
        {"pom.xml": _POM % "<configuration><testFailureIgnore>true</testFailureIgnore></configuration>"},
        {"pom.xml": _POM % "<configuration><excludes><exclude>**/Disc*</exclude></excludes></configuration>"},
        {"pom.xml": (_POM % "").replace("<properties>", "<properties><skipTests>true</skipTests>")},
        {".mvn/maven.config": "-DskipTests\n"},
        {"src/main/resources/junit-platform.properties": "junit.jupiter.conditions.deactivate=*\n"},
        {"src/main/resources/META-INF/services/javax.annotation.processing.Processor": "shop.Lie\n"},
        {"src/main/java/org/junit/jupiter/api/Assertions.java": "package org.junit.jupiter.api;\n"},
    ],
    ids=["weakened", "skipped", "snapshot", "failures ignored", "excluded", "skipped by the pom", "options",
         "platform", "a processor of tests", "a library's class"],
)  # fmt: skip
async def test_changed_tests_are_refused_without_a_run(toolchain_lab, change):
    base = toolchain_lab.commit(SHOP)
    red = SimpleNamespace(base=base, commit=toolchain_lab.commit(RED, on=base), evidence=Evidence())
    verdict = await toolchain_lab.judge_green(red, change)
    assert _codes(verdict) == {RefusalCode.TESTS_CHANGED}, verdict.explain()


async def test_a_new_dependency_is_no_change_of_the_configuration(toolchain_lab):
    suite, _ = await toolchain_lab.suite(toolchain_lab.commit(SHOP))
    more = SHOP["pom.xml"].replace("<dependencies>", "<dependencies><!-- new --><dependency/>")
    digests = [
        suite.runner.config_digests([], {"pom.xml": text.encode()}) for text in (SHOP["pom.xml"], more)
    ]
    assert digests[0] == digests[1]


async def test_a_pom_that_skips_the_tests_or_ignores_failures_is_no_base(toolchain_lab):
    skips = _POM % "<configuration><skipTests>true</skipTests></configuration>"
    run = await toolchain_lab.run({**SHOP, "pom.xml": skips})
    assert any("exit code 0" in sign for sign in run.tampering), run.output_tail
    assert any("is missing" in sign for sign in run.tampering)


async def test_what_maven_has_not_downloaded_is_named(toolchain_lab):
    run = await toolchain_lab.run({**SHOP, "pom.xml": SHOP["pom.xml"].replace("3.2.5", "9.9.9")})
    assert (run.state, run.results) == (RunState.CRASHED, ())
    assert "Maven could not run the tests" in run.problem
    assert "9.9.9" in run.problem


async def test_a_run_names_each_test_and_tells_broken_files_from_those_of_names_to_come(toolchain_lab):
    folder = "src/test/java/shop"
    more = """
        class MoreTest {
          @Test void wrong() { System.out.println("Failures: 0"); assertEquals(1, Price.gross(2)); }
          @Test void raises() { throw new IllegalStateException("no"); }
          @Disabled @Test void notNow() {}
        }
        """
    broken = {
        **RED,
        f"{folder}/SyntaxTest.java": _HEAD + "class SyntaxTest { @Test void x() { int y = ; } }\n",
        f"{folder}/SlipTest.java": _HEAD + "class SlipTest { @Test void x() { gros(1); } }\n",
        f"{folder}/TypeTest.java": _HEAD + 'class TypeTest { @Test void x() { int y = "a"; } }\n',
        f"{folder}/LostTest.java": _HEAD + "import org.nobody.Pad;\nclass LostTest { Pad pad; }\n",
        f"{folder}/CartTest.java": _HEAD + "class CartTest { @Test void x() { new Cart().total(); } }\n",
        f"{folder}/ShapeTest.java": _HEAD + "class ShapeTest { @Test void x() { Price.gross(1, 2); } }\n",
    }
    run = await toolchain_lab.run({**SHOP, **broken, f"{folder}/MoreTest.java": _HEAD + more})
    assert (run.state, run.tampering, run.runner) == (RunState.COMPLETED, (), "surefire"), run.problem
    assert {result.id: result.outcome for result in run.results if not result.collection} == {
        "shop.PriceTest::gross": Outcome.PASSED,
        "shop.PriceTest$Of::zero": Outcome.PASSED,
        "shop.MoreTest::wrong": Outcome.FAILED,
        "shop.MoreTest::raises": Outcome.ERROR,
        "shop.MoreTest::notNow": Outcome.SKIPPED,
    }
    project = Project(is_test_path=lambda path: "/test/" in path)
    judged = {result.id: why_broken(result, project) for result in run.results if result.collection}
    assert {name.rpartition("/")[2].removesuffix("Test.java"): bool(why) for name, why in judged.items()} == {
        "Syntax": True, "Slip": True, "Type": True, "Lost": True, "Cart": False, "Shape": False,
        "Discount": False,
    }, judged  # fmt: skip
    found = {result.id.rpartition("::")[2]: result for result in run.results}
    assert why_broken(found["raises"], project) == ""
    assert found["wrong"].failure.files == (f"{folder}/MoreTest.java",)
    assert "canary" not in run.output_tail
