// Starts jest for Orchard. Tests run in jest's own worker processes, never in this one, which keeps the key.
'use strict';
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { ended, missing, send, told } = require('./orchard_channel.cjs');

const here = createRequire(join(process.cwd(), 'package.json'));
let jest;
try {
  const fromJest = createRequire(here.resolve('jest/package.json'));
  const core = fromJest.resolve('@jest/core');
  jest = { ...require(core), version: fromJest('./package.json').version };
  // Before jest asks for them: what is loaded already is not rewritten by the project's transform.
  require('./orchard_jest_runner.cjs').from(createRequire(core));
  require('./orchard_jest_reporter.cjs');
} catch (error) {
  missing(`jest cannot be loaded: ${String(error.message).split('\n')[0]}`);
}
if (Number.parseInt(jest.version, 10) < 28) missing(`jest ${jest.version} is too old, 28 is needed`);

async function main() {
  const argv = {
    ...told.options,
    _: told.select.length > 0 ? told.select : told.filters,
    $0: 'jest',
    bail: 0,
    cache: true,
    cacheDirectory: told.cache,
    ci: true,
    collectCoverage: false,
    coverage: false,
    json: true,
    outputFile: told.report,
    notify: false,
    passWithNoTests: true,
    randomize: false,
    reporters: [join(__dirname, 'orchard_jest_reporter.cjs')],
    runner: join(__dirname, 'orchard_jest_runner.cjs'),
    runTestsByPath: told.select.length > 0,
    silent: false,
    testLocationInResults: false,
    watch: false,
    watchAll: false,
    watchman: false,
    workerThreads: false,
  };
  send({ kind: 'began', version: jest.version });
  const { results } = await jest.runCLI(argv, [process.cwd()]);
  ended(results.success);
}

main().catch((error) => {
  process.stdout.write(`${error?.stack ?? error}\n`);
  process.exit(2);
});
