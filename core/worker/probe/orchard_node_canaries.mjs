// Loaded before a test file in its own process: loads the file, then adds two tests to the same session, one
// that fails and one that passes.
import assert from 'node:assert';
import { readFileSync, unlinkSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

const place = process.env.ORCHARD_CANARIES;
delete process.env.ORCHARD_CANARIES;
if (isMainThread && place !== undefined) {
  const { failing, passing, options } = JSON.parse(readFileSync(place, 'utf8'));
  unlinkSync(place); // no code of the project ever reads the names
  if (options === '') delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = options;

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
