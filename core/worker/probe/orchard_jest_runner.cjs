// jest-runner, made to run every file in a worker process, with two tests more.
'use strict';
const { join } = require('node:path');
const { canaries, send } = require('./orchard_channel.cjs');

const CIRCUS = join(__dirname, 'orchard_jest_circus.cjs');

function marked(test) {
  const { config } = test.context;
  const theirs = config.testRunner;
  if (!/jest-circus/.test(theirs)) {
    send({ kind: 'unsupported', what: `jest's testRunner is ${theirs}` });
    process.exit(2);
  }
  const orchard = { ...canaries(test.path), circus: theirs };
  const left = CIRCUS.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const transformIgnorePatterns = [...config.transformIgnorePatterns, left];
  return {
    ...test,
    context: { ...test.context, config: { ...config, orchard, testRunner: CIRCUS, transformIgnorePatterns } },
  };
}

module.exports = class {};
module.exports.from = (require_) => {
  const found = require_('jest-runner');
  const Theirs = found.default ?? found;
  const Ours = class extends Theirs {
    runTests(tests, watcher, options) {
      return super.runTests(tests.map(marked), watcher, { ...options, serial: false });
    }
  };
  require.cache[__filename].exports = Ours;
};
