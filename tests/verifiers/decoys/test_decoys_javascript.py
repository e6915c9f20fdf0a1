"""JavaScript: what is changed in tests of Vitest, chai, node and tap."""

from __future__ import annotations

from typing import Any

SOURCE = r"""import { describe, it, expect } from 'vitest';
const assert = require('node:assert');

describe('calc', () => {
  it('adds', () => {
    expect(add(1, 2)).toBe(3);
    expect(names()).toEqual(['a', `b`, { c: null, d: undefined }]);
    expect(x()).not.toBe(4);
    expect(list()).toEqual([]);
    expect(one()).toEqual(two());
  });
  it("waits", async () => {
    await expect(later(1)).resolves.toBe('done');
    await expect(later(2)).rejects.toThrow('bad');
    expect(() => f(1)).toThrow(TypeError);
  });
  test.each([[1, 2, 3]])('sum %i', (a, b, expected) => {
    expect(add(a, b)).toBe(expected);
  });
  it('is chai', function () {
    expect(add(1, 2)).to.equal(3);
    expect(ok()).to.be.true;
    add(1, 2).should.equal(3);
    assert.deepStrictEqual(both(), { a: 1, 'b-c': "x" });
    assert(add(1, 2) === 3, 'm');
    assert.ok(!empty());
    assert.throws(() => f());
  });
  it('tables', () => {
    const cases = [{ input: 'a', expected: 'A' }, { input: 'b', expected: 'B' }];
    for (const { input, expected } of cases) {
      expect(upper(input)).toBe(expected);
    }
    cases.forEach((c) => { expect(upper(c.input)).toBe(c.expected); });
    for (const r of results()) expect(r).toBe(1);
    if (flag) expect(1).toBe(f());
    if (add(1, 2) !== 3) { throw new Error('no'); }
  });
});
test('tap', (t) => { t.equal(add(1, 2), 3); t.is(f(), 'x'); t.true(g()); t.end(); });
"""

CHANGES = {
    "adds": [
        "expect(add(1, 2)).toBe(@);",
        "expect(names()).toEqual(['@', `b`, { c: null, d: undefined }]);",
        "expect(names()).toEqual(['a', `@`, { c: null, d: undefined }]);",
        "expect(names()).toEqual(['a', `b`, { c: @, d: undefined }]);",
        "expect(names()).toEqual(['a', `b`, { c: null, d: @ }]);",
        "expect(list()).toEqual(@);",
        "expect(one()).toEqual(({ value: (two()) }));",
        "expect(add(1, 2)).not.toBe(3);",
        "expect(names()).not.toEqual(['a', `b`, { c: null, d: undefined }]);",
        "expect(x()) .toBe(4);",
        "expect(list()).not.toEqual([]);",
        "expect(one()).not.toEqual(two());",
        "expect(one()).toEqual(two()); throw new Error('# != #');",
    ],
    "waits": [
        "await expect(later(1)).resolves.toBe('@');",
        "await expect(later(2)).rejects.toThrow('@');",
        "await expect(later(1)).resolves.not.toBe('done');",
        "await expect(later(2)).rejects.not.toThrow('bad');",
        "expect(() => f(1)).not.toThrow(TypeError);",
        "expect(() => f(1)).toThrow(TypeError); throw new Error('# != #');",
    ],
    "sum %i": [
        "expect(add(a, b)).toBe(({ value: (expected) }));",
        "expect(add(a, b)).not.toBe(expected);",
        "expect(add(a, b)).toBe(expected); throw new Error('# != #');",
    ],
    "is chai": [
        "expect(add(1, 2)).to.equal(@);",
        "add(1, 2).should.equal(@);",
        "assert.deepStrictEqual(both(), { a: @, 'b-c': \"x\" });",
        "assert.deepStrictEqual(both(), { a: 1, 'b-c': \"@\" });",
        "assert(add(1, 2) === @, 'm');",
        "assert.deepStrictEqual(both(), ({ value: ({ a: 1, 'b-c': \"x\" }) }));",
        "expect(add(1, 2)).to.not.equal(3);",
        "expect(ok()).to.be.not.true;",
        "add(1, 2).should.not.equal(3);",
        "assert.notDeepStrictEqual(both(), { a: 1, 'b-c': \"x\" });",
        "assert(add(1, 2) !== 3, 'm');",
        "assert.ok( empty());",
        "assert.doesNotThrow(() => f());",
        "assert.throws(() => f()); throw new Error('# != #');",
    ],
    "tables": [
        "if (add(1, 2) !== @) { throw new Error('no'); }",
        "const cases = [{ input: 'a', expected: '@' }, { input: 'b', expected: 'B' }];",
        "const cases = [{ input: 'a', expected: 'A' }, { input: 'b', expected: '@' }];",
        "const cases = [{ input: 'a', expected: '@' }, { input: 'b', expected: 'B' }];",
        "const cases = [{ input: 'a', expected: 'A' }, { input: 'b', expected: '@' }];",
        "expect(upper(input)).toBe(({ value: (expected) }));",
        "cases.forEach((c) => { expect(upper(c.input)).toBe(({ value: (c.expected) })); });",
        "expect(upper(input)).not.toBe(expected);",
        "cases.forEach((c) => { expect(upper(c.input)).not.toBe(c.expected); });",
        "if (add(1, 2) === 3) { throw new Error('no'); }",
        "if (add(1, 2) !== 3) { throw new Error('no'); } throw new Error('# != #');",
    ],
    "tap": [
        "test('tap', (t) => { t.equal(add(1, 2), @); t.is(f(), 'x'); t.true(g()); t.end(); });",
        "test('tap', (t) => { t.equal(add(1, 2), 3); t.is(f(), '@'); t.true(g()); t.end(); });",
        "test('tap', (t) => { t.equal(add(1, 2), ({ value: (3) })); t.is(f(), 'x'); t.true(g()); t.end(); });",
        "test('tap', (t) => { t.equal(add(1, 2), 3); t.is(f(), ({ value: ('x') })); t.true(g()); t.end(); });",
        "test('tap', (t) => { t.notEqual(add(1, 2), 3); t.is(f(), 'x'); t.true(g()); t.end(); });",
        "test('tap', (t) => { t.equal(add(1, 2), 3); t.is(f(), 'x'); t.true(!(g())); t.end(); });",
        "test('tap', (t) => { t.equal(add(1, 2), 3); t.is(f(), 'x'); t.false(g()); t.end(); });",
        "test('tap', (t) => { t.equal(add(1, 2), 3); t.is(f(), 'x'); t.true(g()); t.end(); throw new Error('# != #'); });",
    ],
}


def test_javascript(changes: Any) -> None:
    assert changes("test/calc.test.js", SOURCE) == CHANGES
