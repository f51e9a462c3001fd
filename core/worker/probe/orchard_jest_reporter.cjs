// Writes what jest says of each file to Orchard's channel.
'use strict';
const { cause, file, short } = require('./orchard_channel.cjs');

const STATUS = { passed: 'passed', failed: 'failed' };

function record(said, details) {
  const names = [...said.ancestorTitles, said.title];
  const known = details.get(JSON.stringify(names))?.shift();
  const status = STATUS[said.status] ?? 'skipped';
  const first = short(said.failureMessages?.[0]);
  const error = known?.error ?? { name: '', message: first.split('\n')[0], stack: first, code: '', why: '' };
  return {
    names,
    status,
    passed: status === 'passed',
    skip: status === 'skipped' && said.status !== 'todo',
    todo: said.status === 'todo' || (status === 'passed' && known?.failing === true),
    lied: status === 'passed' && known?.lied === true,
    seconds: (said.duration ?? 0) / 1000,
    error: status === 'failed' ? error : null,
  };
}

module.exports = class {
  onTestFileResult(test, result) {
    const details = new Map();
    for (const known of result.orchard ?? []) {
      const at = JSON.stringify(known.names);
      details.set(at, [...(details.get(at) ?? []), known]);
    }
    delete result.orchard;
    const error = result.testExecError ?? null;
    for (const said of result.console ?? []) process.stdout.write(`${short(said.message)}\n`);
    const words = short(result.failureMessage);
    const told = error && { ...cause(error), stack: `${short(error.stack)}\n${words}` };
    if (told && !told.message) told.message = words;
    file(test.path, result.testResults.map((said) => record(said, details)), told);
  }
};
