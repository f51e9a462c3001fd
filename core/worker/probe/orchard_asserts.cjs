// Whether assertions still bite: asked at the end of each file, in the process of its tests.
'use strict';
const assert = require('node:assert');

function attempts(expect) {
  return [
    () => expect(1).toBe(2),
    () => expect(1).not.toBe(1),
    () => expect({ a: 1 }).toEqual({ a: 2 }),
    () => expect({ a: 1 }).toStrictEqual({ a: 2 }),
    () => expect({ a: 1 }).toMatchObject({ a: 2 }),
    () => expect([1]).toContain(2),
    () => expect([1]).toHaveLength(2),
    () => expect('a').toMatch(/b/),
    () => expect(1).toBeCloseTo(2),
    () => expect(0).toBeTruthy(),
    () => expect(1).toBeFalsy(),
    () => expect(1).toBeNull(),
    () => expect(1).toBeUndefined(),
    () => expect(undefined).toBeDefined(),
    () => expect(2).toBeGreaterThan(3),
    () => expect(3).toBeLessThan(2),
    () => expect(() => {}).toThrow(),
    () => assert.ok(false),
    () => assert.equal(1, 2),
    () => assert.strictEqual(1, 2),
    () => assert.deepStrictEqual({ a: 1 }, { a: 2 }),
    () => assert.throws(() => {}),
  ];
}

// `expects`: all functions of that name that the tests may be using.
function blunted(expects) {
  return expects.flatMap(attempts).some((attempt) => {
    try {
      attempt();
      return true;
    } catch {
      return false;
    }
  });
}

module.exports = { blunted };
