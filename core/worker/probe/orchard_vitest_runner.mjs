// Vitest's runner in the process of the tests, with two tests more behind those of each file: one fails, one
// passes.
import assert from 'node:assert';
import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
import * as vitest from 'vitest';

const { blunted } = createRequire(import.meta.url)('./orchard_asserts.cjs');
// Where vitest has its runner depends on the version.
const Theirs = vitest.TestRunner ?? (await import('vitest/runners')).VitestTestRunner;
const getFn = Theirs.getTestFn ?? (await import('vitest/suite')).getFn;
const { expect, test } = vitest;
const FIXED = { configurable: false, enumerable: true, writable: false };
const NAMES = ['test', 'it', 'describe', 'expect'];

const look = () => NAMES.map((name) => globalThis[name]);

function tests(task) {
  return task.type === 'test' ? [task] : (task.tasks ?? []).flatMap(tests);
}

// Whether an object's values are still values, and none that somebody works out when it is asked.
function plain(one) {
  return Object.values(Object.getOwnPropertyDescriptors(one ?? {})).every((said) => 'value' in said);
}

export default class extends Theirs {
  #secret;

  constructor(config) {
    super(config);
    const given = globalThis.__vitest_worker__.providedContext;
    this.#secret = given.orchard;
    delete given.orchard; // before any code of the project runs here
  }

  #bodies = new Map();

  async onCollected(files) {
    await super.onCollected?.(files);
    for (const test of files.flatMap(tests)) {
      this.#bodies.set(test, getFn(test));
      Object.defineProperty(test, 'fails', { ...FIXED, value: test.fails });
    }
  }

  // What was collected is what runs, whatever was put in its place since.
  runTask(test) {
    return this.#bodies.get(test)();
  }

  async importFile(path, source) {
    if (source !== 'collect') return super.importFile(path, source);
    const { seed, failing, passing } = this.#secret;
    const end = createHmac('sha256', seed).update(path).digest('hex').slice(0, 16);
    const before = look();
    const said = await super.importFile(path, source);
    const at_end = look();
    const expects = [...new Set([globalThis.expect, expect])].filter((one) => one);
    const add = globalThis.test ?? test;
    add(`${failing}${end}`, () => {
      const changed = at_end.some((one, index) => one !== before[index]);
      const honest = [...this.#bodies.keys()].every((one) => plain(one) && plain(one.result));
      if (changed || !honest || blunted(expects)) return; // it then passes, and gives that away
      throw new assert.AssertionError({ message: 'as it must' });
    });
    add(`${passing}${end}`, () => {
      expect(1).toBe(1);
    });
    return said;
  }
}
