// Loaded before a test file in its own process: loads the file, then adds two tests to the same session, one
// that fails and one that passes.
import assert from 'node:assert';
import { readFileSync, unlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

// Node's runner takes the standard output that is there when it is loaded: it gets one that keeps to the way of
// writing of now, whatever the project puts in place of `process.stdout.write`. Its functions stay as they are.
async function load_runner() {
  const described = Object.getOwnPropertyDescriptor(process, 'stdout');
  const write = process.stdout.write.bind(process.stdout);
  const own = new Writable({ write: (chunk, encoding, done) => void write(chunk, done) });
  Object.defineProperty(process, 'stdout', { configurable: true, enumerable: true, get: () => own });
  const { test } = await import('node:test');
  Object.defineProperty(process, 'stdout', described);
  const all = createRequire(import.meta.url)('node:test');
  for (const one of [all, all.test, all.it, all.describe, all.suite]) {
    if (one) Object.freeze(one);
  }
  return test;
}

const place = process.env.ORCHARD_CANARIES;
delete process.env.ORCHARD_CANARIES;
if (isMainThread && place !== undefined) {
  const { failing, passing, options } = JSON.parse(readFileSync(place, 'utf8'));
  unlinkSync(place); // no code of the project ever reads the names
  if (options === '') delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = options;

  const test = await load_runner();
  await import(pathToFileURL(process.argv[1]).href);

  test(failing, () => {
    const must_throw = [assert, assert.strict].flatMap((kind) => [
      () => kind.ok(false),
      () => kind.equal(1, 2),
      () => kind.strictEqual(1, 2),
      () => kind.notStrictEqual(1, 1),
      () => kind.deepEqual({ a: 1 }, { a: 2 }),
      () => kind.deepStrictEqual({ a: 1 }, { a: 2 }),
      () => kind.match('a', /b/),
      () => kind.throws(() => {}),
      () => kind.fail(),
    ]);
    for (const attempt of must_throw) {
      let thrown = false;
      try {
        attempt();
      } catch {
        thrown = true;
      }
      if (!thrown) return; // an assertion that always passes: this canary then passes, and gives it away
    }
    throw new assert.AssertionError({ message: 'as it must' });
  });
  test(passing, () => {});
}
