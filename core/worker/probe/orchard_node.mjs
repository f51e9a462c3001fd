// Starts node's own test runner on each test file, and writes what it says, signed, to Orchard's channel.
// None of the project's code runs in this process: each file has a process of its own, one after another.
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { pathToFileURL } from 'node:url';

const told = JSON.parse(readFileSync(0, 'utf8'));
const channel = Number(process.env.ORCHARD_PROBE);
delete process.env.ORCHARD_PROBE;
let last = '';

function send(record) {
  const payload = Buffer.from(JSON.stringify(record));
  const mac = createHmac('sha256', Buffer.from(told.key, 'hex')).update(last).update(payload);
  last = mac.digest('hex').slice(0, 32);
  let line = Buffer.concat([Buffer.from(`${last} `), payload, Buffer.from('\n')]);
  while (line.length > 0) {
    line = line.subarray(writeSync(channel, line));
  }
}

function short(text) {
  const whole = String(text ?? '');
  return whole.length > 8000 ? whole.slice(-8000) : whole;
}

function cause(error) {
  const inner = error?.cause instanceof Error ? error.cause : error;
  return {
    name: short(inner?.name),
    message: short(inner?.message ?? error?.cause),
    stack: short(inner?.stack),
    code: short(inner?.code),
    why: short(error?.failureType),
  };
}

async function runFile(file) {
  const failing = told.failing + randomBytes(8).toString('hex');
  const passing = told.passing + randomBytes(8).toString('hex');
  const names = join(told.cache, `canaries-${randomBytes(8).toString('hex')}`);
  writeFileSync(names, JSON.stringify({ failing, passing, options: told.options }));
  const preload = pathToFileURL(join(import.meta.dirname ?? told.folder, 'orchard_node_canaries.mjs')).href;
  process.env.ORCHARD_CANARIES = names;
  process.env.NODE_OPTIONS = `${told.options} --import="${preload}"`.trim();
  send({ kind: 'file', file, failing, passing });
  const printed = [];
  const names_at = [];
  for await (const { type, data } of run({ files: [file], concurrency: 1 })) {
    if (type === 'test:start') {
      names_at.length = data.nesting;
      names_at[data.nesting] = data.name;
    } else if (type === 'test:stdout' || type === 'test:stderr') {
      process.stdout.write(data.message);
      if (type === 'test:stderr' && printed.length < 200) printed.push(data.message);
    } else if (type === 'test:pass' || type === 'test:fail') {
      send({
        kind: 'test',
        passed: type === 'test:pass',
        names: [...names_at.slice(0, data.nesting), data.name],
        suite: data.details?.type === 'suite',
        seconds: (data.details?.duration_ms ?? 0) / 1000,
        skip: data.skip !== undefined && data.skip !== false,
        todo: data.todo !== undefined && data.todo !== false,
        error: type === 'test:fail' ? cause(data.details?.error) : null,
      });
      const shown = names_at.slice(0, data.nesting).concat(data.name).join(' > ');
      process.stdout.write(`${type === 'test:pass' ? 'ok' : 'not ok'} ${shown}\n`);
      if (type === 'test:fail') process.stdout.write(`  ${cause(data.details?.error).message}\n`);
    }
  }
  send({ kind: 'file ended', file, stderr: short(printed.join('')) });
}

send({ kind: 'began', version: process.version });
for (const file of told.files) {
  await runFile(file);
}
send({ kind: 'ended' });
