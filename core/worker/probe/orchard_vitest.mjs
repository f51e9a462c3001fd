// Starts vitest for Orchard. Tests run in processes of their own, never in this one, which keeps the key.
import fsp from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const own = createRequire(import.meta.url);
const { cause, ended, file, missing, seed, send, short, told } = own('./orchard_channel.cjs');
const RUNNER = join(dirname(fileURLToPath(import.meta.url)), 'orchard_vitest_runner.mjs');

// The installed packages are read-only here, or shared: vite then puts its short-lived file elsewhere.
const { mkdir } = fsp;
fsp.mkdir = async (path, ...rest) => {
  if (basename(String(path)) === '.vite-temp') {
    throw Object.assign(new Error('EACCES: installed packages are read-only'), { code: 'EACCES' });
  }
  return mkdir(path, ...rest);
};

const here = createRequire(join(process.cwd(), 'package.json'));
let node;
let version;
try {
  version = here('vitest/package.json').version;
  if (Number.parseInt(version, 10) >= 3) node = await import(pathToFileURL(here.resolve('vitest/node')).href);
} catch (error) {
  missing(`vitest cannot be loaded: ${String(error.message).split('\n')[0]}`);
}
if (node === undefined) missing(`vitest ${version} is too old, 3 is needed`);

function* tests(task, names, broken) {
  for (const child of task.tasks ?? []) {
    const at = [...names, child.name];
    if (child.type === 'suite') yield* tests(child, at, child.result?.errors?.[0] ?? broken);
    else yield [child, at, broken];
  }
}

function record([test, names, broken]) {
  const { state, errors, hooks, duration } = test.result ?? {};
  const status = { pass: 'passed', fail: 'failed' }[state] ?? 'skipped';
  // A hook around all tests that fails leaves them without a result.
  const in_hook = status === 'skipped' && broken !== undefined && test.mode !== 'todo';
  const hook = in_hook || Object.values(hooks ?? {}).some((said) => said !== 'pass');
  const failed = status === 'failed' || in_hook;
  const error = failed ? cause(errors?.[0] ?? broken, hook ? 'hookFailed' : '') : null;
  if (/^Snapshot .* mismatched/.test(error?.message) && !errors[0].expected) error.name = 'SnapshotMissing';
  return {
    names,
    status,
    passed: status === 'passed',
    unreached: in_hook,
    skip: status === 'skipped' && !in_hook && test.mode !== 'todo',
    todo: (status === 'skipped' && test.mode === 'todo') || (status === 'passed' && test.fails === true),
    seconds: (duration ?? 0) / 1000,
    error,
  };
}

function focused(found) {
  return found.some(([test]) => (test.result?.errors ?? []).some((e) => /Unexpected \.only/.test(e.message)));
}

function suites(task) {
  return [task, ...(task.tasks ?? []).filter((child) => child.type === 'suite').flatMap(suites)];
}

let failed = false;
const reporter = {
  onTestModuleEnd(module) {
    const { task } = module;
    const found = [...tests(task, [], task.result?.errors?.[0])];
    failed ||= task.result?.state === 'fail';
    let error = found.length === 0 ? (task.result?.errors?.[0] ?? null) : null;
    if (focused(found) || suites(task).some((one) => /Unexpected \.only/.test(one.result?.errors?.[0]?.message))) {
      error = { name: 'FocusedTest', message: '`.only` hides the other tests of the file' };
    }
    file(module.moduleId, found.map(record), error && cause(error));
  },
  onTestRunEnd(modules, unhandled, reason) {
    failed ||= reason === 'failed';
    for (const error of unhandled) {
      process.stdout.write(`Unhandled: ${short(error.stack ?? error.message)}\n`);
    }
  },
  onUserConsoleLog(log) {
    process.stdout.write(short(log.content));
  },
};

function watched(project) {
  const { config } = project;
  if (config.browser?.enabled) return "vitest's browser mode is on";
  if (config.runner && config.runner !== RUNNER) return `vitest's test.runner is ${config.runner}`;
  Object.assign(config, { runner: RUNNER, pool: 'forks', allowOnly: false, passWithNoTests: true });
  config.sequence.shuffle = false;
  if (config.typecheck) config.typecheck.enabled = false;
  project.provide('orchard', { seed, failing: told.failing, passing: told.passing });
  return '';
}

const options = {
  ...told.options,
  allowOnly: false,
  bail: 0,
  coverage: { enabled: false },
  outputFile: { json: told.report },
  passWithNoTests: true,
  pool: 'forks',
  reporters: ['json', reporter],
  run: true,
  update: false,
  watch: false,
};
send({ kind: 'began', version });
const vitest = await node.createVitest('test', options, { cacheDir: told.cache });
for (const project of vitest.projects) {
  const what = watched(project);
  if (what) {
    send({ kind: 'unsupported', what });
    process.exit(2);
  }
}
const filters = told.select.length > 0 ? told.select : told.filters;
await vitest.start(filters);
await vitest.close();
ended(!failed && process.exitCode !== 1);
