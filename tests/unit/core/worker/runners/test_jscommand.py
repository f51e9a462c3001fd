from __future__ import annotations

import pytest

from core.worker.runners.jscommand import (
    installed_tools,
    read_js_command,
    script_of_tests,
    workspaces_of,
)
from core.worker.runners.jsconfig import is_config_name, js_package_digest, named_files


@pytest.mark.parametrize(
    ("text", "tool", "options", "filters"),
    [
        ("jest", "jest", {}, ()),
        ("npx jest --ci --coverage src/a", "jest", {}, ("src/a",)),
        ("cross-env NODE_ENV=test jest -i --config=ci.js", "jest", {"maxWorkers": 1, "config": "ci.js"}, ()),
        ("node --experimental-vm-modules node_modules/jest/bin/jest.js", "jest", {}, ()),
        ("./node_modules/.bin/jest --testTimeout 900", "jest", {"testTimeout": 900}, ()),
        ("vitest", "vitest", {}, ()),
        ("pnpm exec vitest run --globals --reporter=dot", "vitest", {"globals": True}, ()),
        ("vitest --run --coverage.enabled=true --dir lib", "vitest", {"dir": "lib"}, ()),
    ],
)
def test_a_plain_call_is_read(text, tool, options, filters):
    command = read_js_command(text)
    assert (command.tool, command.options, command.filters) == (tool, options, filters)


@pytest.mark.parametrize(
    "text",
    ["jest || true", "eslint . && jest", "jest -t name", "jest -u", "vitest --shard=1/2", "vitest run -u",
     "vitest --exclude x", "jest --unheard-of", "mocha", "jest {junit}", "jest 'open", "", "FOO=1"],
)  # fmt: skip
def test_what_is_no_plain_call_of_all_tests_is_not_taken_over(text):
    assert read_js_command(text) is None


def test_node_options_and_variables_are_kept():
    command = read_js_command("A=1 node --conditions=x node_modules/.bin/jest")
    assert (command.variables, command.node_options) == ((("A", "1"),), ("--conditions=x",))


@pytest.mark.parametrize(
    ("package", "script"),
    [
        (b'{"scripts": {"test": "npm run unit", "unit": "vitest run"}}', "vitest run"),
        (b'{"scripts": {"test": "npm test"}}', "npm test"),
        (b'{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}', None),
        (b'{"scripts": 3}', None),
        (b"{", None),
    ],
)
def test_a_script_that_calls_another_is_followed(package, script):
    assert script_of_tests(package) == script


def test_a_package_says_what_it_asks_for_and_what_lies_below_it():
    package = b'{"devDependencies": {"vitest": "4"}, "jest": {"a": 1}, "workspaces": ["packages/*", 3]}'
    assert installed_tools(package) == ("vitest", "jest")
    assert workspaces_of(package) == ("packages/*",)
    assert workspaces_of(b"[]") == ()


def test_what_a_configuration_loads_is_configuration_too():
    text = """
        import base from '../jest.base';
        const more = require("./config/more.cjs");
        module.exports = { ...base, setupFiles: ['<rootDir>/test/set_up.js', 'left-pad'],
          transform: { '\\\\.css$': './config/css.js' }, globalSetup: path.resolve(__dirname, 'env/start.ts'),
          moduleNameMapper: { '^@/(.*)$': '<rootDir>/src/$1' }, roots: ['./src'] };
    """
    found = named_files(text, "web")
    assert {"jest.base", "web/config/more", "web/test/set_up", "web/config/css", "web/env/start"} <= found
    assert not found & {"web/src", "web/src/$1"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("jest.config.cjs", True), ("jest-e2e.json", False), ("vitest.config.unit.mts", True),
     ("vite.config.ts", True), ("jest.setup.ts", True), (".babelrc", True), ("tsconfig.test.json", True),
     ("price.ts", False), ("jest.js", False)],
)  # fmt: skip
def test_configuration_is_known_by_its_name(name, expected):
    assert is_config_name(name) is expected


def test_only_the_part_of_a_package_that_decides_about_tests_is_compared():
    one = js_package_digest(b'{"jest": {"a": 1}, "dependencies": {}}')
    assert one == js_package_digest(b'{"jest": {"a": 1}, "dependencies": {"b": "2"}, "version": "3"}')
    assert one != js_package_digest(b'{"jest": {"a": 2}}')
    assert js_package_digest(b"{") != js_package_digest(b"[]")
