"""Honest work that looks odd at first, and that no gate may refuse."""

from __future__ import annotations

import pytest

from core.domain.lifecycles import Phase

pytestmark = pytest.mark.timeout(180)  # a test here starts many programs


async def _through(lab, base, red_changes, green_changes, **rest):
    """Red, green and refactor of one story; all must pass. Returns red's and green's evidence."""
    red = await lab.red(base, red_changes, **rest)
    verdict = await lab.judge_green(red, green_changes)
    assert verdict.passed, verdict.explain()
    again = await lab.judge_green(red, green_changes, Phase.REFACTOR)
    assert again.passed, again.explain()
    return red.evidence, verdict.evidence


# One story in which many shapes of honest tests come together: judged once, looked at file by file.
SHAPES = {
    "tests/test_stock.py": """
        import sys
        import unittest

        import pytest
        from shop.stock import Stock

        def test_it():
            assert Stock().count == 0

        @pytest.mark.skipif(sys.maxsize > 0, reason="not on this machine")
        def test_marked():
            assert False

        @pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.skip), 0])
        def test_cases(count):
            assert Stock().count == count

        def test_without_the_module():
            pytest.importorskip("nothing_is_called_so")

        def test_asked():
            if Stock().count == 0:
                pytest.skip(
                    "nothing to count"
                )

        def test_by_fixture(database):
            assert False

        @pytest.mark.xfail(reason="a known bug")
        def test_expected():
            assert Stock().count == 1

        def test_expected_in_the_middle():
            pytest.xfail("a known bug")

        class TestStock(unittest.TestCase):
            def test_it(self):
                self.assertEqual(Stock().count, 0)

            def test_asked(self):
                self.skipTest("nothing to count")

            def test_raised(self):
                raise unittest.SkipTest("nothing to count")

            @unittest.skip("not now")
            def test_decorated(self):
                self.fail()

            @unittest.expectedFailure
            def test_expected(self):
                self.assertEqual(Stock().count, 1)
        """,
    "tests/conftest.py": """
        import pytest

        @pytest.fixture
        def database():
            pytest.skip("no database")
        """,
    "tests/test_money.py": "import money\n\ndef test_it():\n    assert money.cents(1) == 100\n",
    "tests/test_price.py": """
        from shop.price import gross

        def test_gross():
            assert gross(2) == 6

        def test_zero():
            assert gross(0) == 0
        """,
    "tests/test_names.py": """
        import shop.price
        from shop.price import *
        import pytest
        from unittest import mock

        @pytest.fixture
        def cart():
            return shop.price.Cart(currency="EUR")

        def test_attribute():
            assert shop.price.discount(1) == 1

        def test_star():
            assert discount(1) == 1

        def test_signature():
            assert gross(2, rate=3) == 6

        def test_fixture(cart):
            assert cart.currency == "EUR"

        def test_patched():
            with mock.patch("shop.price.discount"):
                pass

        def test_late_import():
            from shop.late import thing

        def test_raises():
            with pytest.raises(ValueError):
                gross(-1)
        """,
    "tests/test_many.py": """
        import pytest
        from shop.price import gross

        @pytest.mark.parametrize("name", ["a/b", "c::d", "[e]", "f - g", "\\u00fc\\n", "\\x00", ""])
        @pytest.mark.parametrize("net, wanted", [(1, 3), (0, 0)])
        def test_gross(net, wanted, name):
            assert gross(net) == wanted
        """,
    "tests/test_classes.py": """
        import unittest
        from shop import price

        class TestDiscount(unittest.TestCase):
            def setUp(self):
                self.net = price.gross(50)

            def test_discount(self):
                self.assertEqual(price.discount(self.net, 10), 135)

            def test_sub(self):
                for percent in (0, 50):
                    with self.subTest(percent=percent):
                        self.assertEqual(price.discount(self.net, percent), 150 - 1.5 * percent)

            @unittest.expectedFailure
            def test_expected(self):
                self.fail()
        """,
}
SHAPES_DONE = {
    "shop/stock.py": "class Stock:\n    count = 0\n",
    "money.py": "def cents(x):\n    return 100 * x\n",
    "shop/late.py": "thing = 1\n",
    "shop/price.py": """
        class Cart:
            def __init__(self, currency):
                self.currency = currency

        def discount(net, percent=0):
            return net * (100 - percent) / 100

        def gross(net, rate=3):
            if net < 0:
                raise ValueError(net)
            return net * rate
        """,
}
_shapes = []


@pytest.fixture
async def shapes(lab, shop):
    """Red's and green's evidence of that story."""
    if not _shapes:
        _shapes.append(await _through(lab, shop, SHAPES, SHAPES_DONE))
    return _shapes[0]


def _in(module, tests):
    return {test for test in tests if test.startswith((f"tests.{module}::", f"tests.{module}."))}


def test_new_modules_in_a_package_and_beside_it(shapes):
    red, green = shapes
    assert set(red.red_files) == {"tests/test_stock.py", "tests/test_money.py"}
    assert _in("test_money", green.green) == {"tests.test_money::test_it"}


def test_tests_that_skip_themselves_in_a_file_that_could_not_be_collected(shapes):
    _, green = shapes
    assert len(_in("test_stock", green.green)) == 3
    assert len(_in("test_stock", green.skipped)) == 11
    assert any("by the tests' own files" in note for note in green.notes)


def test_changed_expectations_of_tests_that_passed(shapes):
    red, green = shapes
    assert {"tests.test_price::test_gross", "tests.test_price::test_zero"} <= set(red.base_passed)
    assert _in("test_price", red.red) == _in("test_price", green.green) == {"tests.test_price::test_gross"}


def test_names_that_the_project_does_not_have_yet(shapes):
    red, green = shapes
    assert len(_in("test_names", red.red)) == 7
    assert _in("test_names", green.green) == _in("test_names", red.red)


def test_parametrised_tests_with_odd_names(shapes):
    red, green = shapes
    assert len(_in("test_many", red.red)) == 7
    assert len(_in("test_many", red.characterisation)) == 7
    assert _in("test_many", green.green) == _in("test_many", red.red)


def test_unittest_style_classes(shapes):
    red, green = shapes
    wanted = {
        "tests.test_classes.TestDiscount::test_discount",
        "tests.test_classes.TestDiscount::test_sub",
    }
    assert _in("test_classes", red.red) == _in("test_classes", green.green) == wanted
    assert _in("test_classes", green.skipped) == {"tests.test_classes.TestDiscount::test_expected"}


async def test_a_new_function_keeps_its_test_file_from_being_collected(lab, shop, red_files, green_files):
    red, green = await _through(lab, shop, red_files, green_files)
    assert red.red_files == ("tests/test_discount.py",)
    assert red.red == ()
    assert set(green.green) == {"tests.test_discount::test_discount", "tests.test_discount::test_no_discount"}
    assert set(red.base_passed) == {"tests.test_price::test_gross", "tests.test_price::test_zero"}


async def test_what_failed_was_skipped_or_was_flaky_at_the_base_may_stay_so(
    lab, shop, red_files, green_files
):
    """The flaky one fails in each second run of a checkout: not at the base, but where a gate looks twice."""
    base = lab.commit(
        {
            "tests/test_old.py": """
                import pytest

                def test_failing():
                    assert False

                @pytest.mark.skip
                def test_skipped():
                    pass

                @pytest.mark.xfail
                def test_expected():
                    assert False

                @pytest.fixture
                def broken():
                    raise RuntimeError

                def test_error(broken):
                    pass
                """,
            "tests/test_flaky.py": """
                from pathlib import Path

                def test_every_other_time():
                    mark = Path(__file__).with_name("ran-before")
                    if mark.exists():
                        mark.unlink()
                        assert False
                    mark.touch()
                """,
            "tests/test_dead.py": "import not_installed_anywhere\n",
        },
        on=shop,
    )
    red, green = await _through(lab, base, red_files, green_files)
    assert set(red.failing_before) == {
        "tests.test_old::test_failing",
        "tests.test_old::test_error",
        "tests/test_dead.py",
    }
    assert set(green.failing_before) == set(red.failing_before)
    assert set(green.skipped) == {"tests.test_old::test_skipped", "tests.test_old::test_expected"}
    assert red.flaky == ("tests.test_flaky::test_every_other_time",)


async def test_markers_options_a_conftest_plugin_and_other_parts_of_configuration_files(
    lab, red_files, green_files
):
    """Strict markers, -m, -k, -x, and hooks that reorder and deselect: canaries are not in the way. What else
    stands in the same files may change."""
    options = """
        [tool.pytest.ini_options]
        addopts = "--strict-markers --strict-config -m 'not slow' -k 'not nightly' -x -q"
        markers = ["slow: takes long"]
        testpaths = ["tests"]
        filterwarnings = ["error"]
        xfail_strict = true
        """
    base = lab.commit(
        {
            "shop/__init__.py": "",
            "shop/price.py": "def gross(net):\n    return net * 2\n",
            "pyproject.toml": options,
            "setup.cfg": "[metadata]\nname = shop\n",
            "tox.ini": "[testenv]\ncommands = pytest\n",
            "setup.py": "from setuptools import setup\nsetup()\n",
            "tests/__init__.py": "",
            "tests/conftest.py": """
                import pytest

                @pytest.fixture(autouse=True)
                def only_for_own_tests(request):
                    assert request.module.__name__.startswith("tests."), "not mine"
                    assert request.node.get_closest_marker("own") is None
                    yield

                def pytest_collection_modifyitems(config, items):
                    items.reverse()

                @pytest.hookimpl(hookwrapper=True)
                def pytest_runtest_makereport(item, call):
                    outcome = yield
                    outcome.get_result().sections.append(("extra", "from the project's own plugin"))
                """,
            "tests/test_price.py": """
                import pytest
                from shop.price import gross

                def test_gross():
                    assert gross(2) == 4

                @pytest.mark.slow
                def test_slow():
                    assert False

                def test_nightly():
                    assert False
                """,
        }
    )
    changes = {
        "pyproject.toml": f"""
        [project]
        name = "shop"
        version = "2"
        {options}""",
        "setup.cfg": "[metadata]\nname = shop\nversion = 2\n",
        "tox.ini": "[testenv]\ncommands = pytest -v\n",
        "setup.py": "from setuptools import setup\nsetup(name='shop')\n",
        "shop/coverage.py": "# the shop's own module, which shadows nothing\n",
        "shop/pytest_plugin.py": "",
    }
    red, green = await _through(lab, base, red_files, {**green_files, **changes})
    assert set(red.base_passed) == {"tests.test_price::test_gross"}
    assert green.passed_count == 3


async def test_asyncio_and_hypothesis(lab, shop):
    lab.variables["PYTEST_PLUGINS"] = "pytest_asyncio.plugin,_hypothesis_pytestplugin"
    red, green = await _through(
        lab,
        shop,
        {
            "tests/test_price.py": None,
            "tests/test_plugins.py": """
                import pytest
                from hypothesis import given, strategies as st
                import shop.price

                @given(st.integers(min_value=1, max_value=100))
                def test_property(net):
                    assert shop.price.gross(net) == net * 3

                @pytest.mark.asyncio
                async def test_later():
                    assert await shop.price.later() == 1
                """,
        },
        {
            "shop/price.py": """
                def gross(net):
                    return net * 3

                async def later():
                    return 1
                """
        },
    )
    assert len(red.red) == 2
    assert len(green.green) == 2


async def test_xdist(lab, shop, red_files):
    pytest.importorskip("xdist")
    lab.variables["PYTEST_PLUGINS"] = "xdist.plugin"
    lab.configure(test_command="{python} -m pytest -n 2")
    red = await lab.red(shop, red_files)
    assert red.evidence.red_files == ("tests/test_discount.py",)
    assert len(red.evidence.base_passed) == 2


async def test_a_folder_of_a_monorepo(lab, red_files, green_files):
    base = lab.commit(
        {
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--strict-markers'\n",
            "packages/shop/shop/__init__.py": "",
            "packages/shop/shop/price.py": "def gross(net):\n    return net * 2\n",
            "packages/shop/tests/test_price.py": "from shop.price import gross\n\n"
            "def test_gross():\n    assert gross(2) == 4\n",
            "packages/other/tests/test_price.py": "def test_gross():\n    assert False\n",
        }
    )
    lab.configure(folder="packages/shop")
    inside = "packages/shop/{}".format
    red, green = await _through(
        lab,
        base,
        {inside(path): text for path, text in red_files.items()},
        {inside(path): text for path, text in green_files.items()},
    )
    assert red.red_files == ("tests/test_discount.py",)
    assert len(red.base_passed) == 1
    assert green.passed_count == 3


async def test_src_layout_without_being_installed_also_of_what_the_runner_is_made_with(
    lab, red_files, green_files
):
    """pytest has imported iniconfig before the project's own is on the path."""
    base = lab.commit(
        {
            "pyproject.toml": "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['requests']\n",
            "src/shop/__init__.py": "",
            "src/shop/price.py": "def gross(net):\n    return net * 2\n",
            "src/iniconfig/__init__.py": "OWN = 1\n",
            "tests/test_price.py": "from shop.price import gross\n\ndef test_gross():\n"
            "    assert gross(2) == 4\n",
            "tests/test_own.py": "import iniconfig\n\ndef test_own():\n    assert iniconfig.OWN == 1\n",
        }
    )
    own = {"tests/test_own.py": "import iniconfig\n\ndef test_own():\n    assert iniconfig.OWN == 2\n"}
    done = {f"src/{path}": text for path, text in green_files.items()}
    red, green = await _through(
        lab, base, {**red_files, **own}, {**done, "src/iniconfig/__init__.py": "OWN = 2\n"}
    )
    assert set(red.base_passed) == {"tests.test_own::test_own", "tests.test_price::test_gross"}
    assert red.red == ("tests.test_own::test_own",)
    assert "tests.test_own::test_own" in green.green
    assert green.passed_count == 4


async def test_a_first_story_in_an_empty_repository(lab):
    base = lab.commit({"README.md": "shop\n"})
    red, green = await _through(
        lab,
        base,
        {"tests/test_cart.py": "from cart import Cart\n\ndef test_empty():\n    assert len(Cart()) == 0\n"},
        {"cart.py": "class Cart:\n    def __len__(self):\n        return 0\n"},
    )
    assert red.base_passed == ()
    assert green.green == ("tests.test_cart::test_empty",)


async def test_a_changed_helper_that_its_tests_go_through(lab, shop):
    base = lab.commit(
        {
            "tests/helpers.py": "def check(value):\n    assert value == 4\n",
            "tests/conftest.py": "import sys, pathlib\n"
            "sys.path.insert(0, str(pathlib.Path(__file__).parent))\n",
            "tests/test_helped.py": "from helpers import check\nfrom shop.price import gross\n\n"
            "def test_it():\n    check(gross(2))\n",
            "tests/test_price.py": "def test_nothing():\n    pass\n",
        },
        on=shop,
    )
    red, _ = await _through(
        lab,
        base,
        {"tests/helpers.py": "def check(value):\n    assert value == 6\n"},
        {"shop/price.py": "def gross(net):\n    return net * 3\n"},
    )
    assert red.red == ("tests.test_helped::test_it",)
