// Runs one file as jest-circus does, with two tests more behind those of the file: one fails, one passes.
// It stands outside of the tests' own world (the vm context), as jest-circus's first half does.
'use strict';
const assert = require('node:assert');
const { blunted } = require('./orchard_asserts.cjs');

const FIXED = { configurable: false, enumerable: true, writable: false };
const NAMES = ['test', 'it', 'describe', 'expect'];

function path_of(test) {
  const names = [];
  for (let at = test; at !== undefined && at.parent !== undefined; at = at.parent) names.unshift(at.name);
  return names;
}

function short(text) {
  const whole = String(text ?? '');
  return whole.length > 8000 ? `${whole.slice(0, 4000)}\n[...]\n${whole.slice(-4000)}` : whole;
}

function cause(thrown, why) {
  const error = Array.isArray(thrown) ? (thrown[0] ?? thrown[1]) : thrown;
  const asserted = error?.matcherResult !== undefined;
  return {
    name: asserted ? 'AssertionError' : short(error?.name),
    message: short(error?.message ?? error),
    stack: short(error?.stack),
    code: short(error?.code),
    why,
  };
}

// What jest's results leave out: which test failed in a hook only, and what was thrown. Told at once: jest turns
// some errors into words before the test is done.
class Details {
  seen = [];
  #hooks = new Map();
  #bodies = new Map();
  #written = new Map();

  on(event, state) {
    if (event.name === 'run_start') {
      state.hasFocusedTests = false; // `.only` hides no other test
      this.#hold(state.rootDescribeBlock);
    }
    if (event.name === 'test_fn_start') {
      this.#bodies.delete(event.test); // of an earlier try
      if (this.#written.has(event.test)) event.test.fn = this.#written.get(event.test);
    }
    if (event.name === 'hook_failure') this.#below(event.test ?? event.describeBlock, event.error);
    if (event.name === 'test_fn_failure') this.#bodies.set(event.test, cause(event.error, ''));
    if (event.name === 'test_done') this.#done(event.test);
  }

  // What was written is what runs, whatever was put in its place since. Concurrent ones run already.
  #hold(entry) {
    if (entry.type === 'test') {
      Object.defineProperty(entry, 'failing', { ...FIXED, value: entry.failing });
      if (!entry.concurrent) this.#written.set(entry, entry.fn);
    }
    for (const child of entry.children ?? []) this.#hold(child);
  }

  #below(entry, error) {
    this.#hooks.set(entry, cause(error, 'hookFailed'));
    for (const child of entry?.children ?? []) this.#below(child, error);
  }

  #done(test) {
    const thrown = this.#bodies.get(test) ?? this.#hooks.get(test);
    const error = thrown ?? (test.errors.length > 0 ? cause(test.errors[0], '') : null);
    const failing = test.failing === true;
    const lied = this.#bodies.has(test) && test.errors.length === 0 && !failing;
    this.seen.push({ names: path_of(test), failing, error, lied });
  }
}

module.exports = async (globalConfig, config, environment, runtime, testPath, ...rest) => {
  const { failing, passing, circus } = config.orchard;
  delete config.orchard; // before any code of the project runs here
  const found = require(circus);
  const details = new Details();
  const theirs = environment.handleTestEvent?.bind(environment);
  environment.handleTestEvent = (event, state) => {
    details.on(event, state);
    return theirs?.(event, state);
  };

  let own;
  const { setGlobalsForRuntime, requireModule, unstable_importModule } = runtime;
  runtime.setGlobalsForRuntime = function (globals) {
    own = globals;
    return setGlobalsForRuntime.call(this, globals);
  };

  let before;
  const look = () => NAMES.map((name) => environment.global[name]);
  const loading = () => {
    delete runtime.requireModule;
    delete runtime.unstable_importModule;
    before = look();
  };
  const loaded = () => {
    const at_end = look();
    const test = environment.global.test ?? own.test;
    const expects = [...new Set([environment.global.expect, own.expect])].filter((expect) => expect);
    test(failing, () => {
      const changed = at_end.some((one, index) => one !== before[index]);
      if (changed || blunted(expects)) return; // it then passes, and gives that away
      throw new assert.AssertionError({ message: 'as it must' });
    });
    test(passing, () => {
      own.expect(1).toBe(1);
    });
  };
  runtime.requireModule = function (from, ...more) {
    if (from !== testPath || more.length > 0) return requireModule.call(this, from, ...more);
    loading();
    const said = requireModule.call(this, from);
    loaded();
    return said;
  };
  runtime.unstable_importModule = async function (from, ...more) {
    if (from !== testPath || more.length > 0) return unstable_importModule.call(this, from, ...more);
    loading();
    const said = await unstable_importModule.call(this, from);
    loaded();
    return said;
  };

  const results = await (found.default ?? found)(globalConfig, config, environment, runtime, testPath, ...rest);
  results.orchard = details.seen;
  return results;
};
