// What the watched runs of jest and vitest share: what Orchard tells them, and the signed channel back.
// Only for the runner's main process: the processes in which tests run never load it.
'use strict';
const { createHash, createHmac, randomBytes } = require('node:crypto');
const { readFileSync, writeSync } = require('node:fs');

const told = JSON.parse(readFileSync(0, 'utf8'));
const channel = Number(process.env.ORCHARD_PROBE);
delete process.env.ORCHARD_PROBE;
const key = Buffer.from(told.key, 'hex');
delete told.key;
const seed = randomBytes(16).toString('hex');
let last = '';

function send(record) {
  const payload = Buffer.from(JSON.stringify(record));
  last = createHmac('sha256', key).update(last).update(payload).digest('hex').slice(0, 32);
  let line = Buffer.concat([Buffer.from(`${last} `), payload, Buffer.from('\n')]);
  while (line.length > 0) {
    line = line.subarray(writeSync(channel, line));
  }
}

function short(text) {
  const whole = String(text ?? '').replace(/\u001b\[[0-9;]*m/g, '');
  return whole.length > 8000 ? `${whole.slice(0, 4000)}\n[...]\n${whole.slice(-4000)}` : whole;
}

function cause(error, why = '') {
  return {
    name: short(error?.name),
    message: short(error?.message ?? error),
    stack: short(error?.stack ?? error?.stackStr),
    code: short(error?.code),
    why,
  };
}

// The same names for the same file, which its test process is told or works out by itself.
function canaries(file) {
  const end = createHmac('sha256', seed).update(file).digest('hex').slice(0, 16);
  return { failing: `${told.failing}${end}`, passing: `${told.passing}${end}` };
}

// A run ends here, so that nothing the project left behind decides on the exit code.
function ended(success) {
  let report = '';
  try {
    report = createHash('sha256').update(readFileSync(told.report)).digest('hex');
  } catch {
    // none was written: the reader sees it
  }
  const code = success ? 0 : 1;
  send({ kind: 'ended', success, report, code });
  process.exit(code);
}

function shown(record) {
  const word = { passed: 'ok', failed: 'not ok' }[record.status] ?? 'skipped';
  process.stdout.write(`${word} ${record.names.join(' > ')}\n`);
  if (record.error) process.stdout.write(`  ${record.error.message}\n`);
}

// `tests` as the runner's reporter knows them; `error` when the file itself could not be run.
function file(path, tests, error) {
  const names = canaries(path);
  send({ kind: 'file', file: path, ...names });
  process.stdout.write(`# ${path}\n`);
  for (const record of tests) {
    send({ kind: 'test', suite: false, ...record });
    if (![names.failing, names.passing].includes(record.names.at(-1))) shown(record);
  }
  if (error) process.stdout.write(`not ok\n  ${error.message}\n`);
  send({ kind: 'file ended', file: path, stderr: '', error });
}

function missing(what) {
  process.stdout.write(`orchard_start: ${what}\n`);
  process.exit(77);
}

module.exports = { canaries, cause, ended, file, missing, seed, send, short, told };
