"""TypeScript, with JSX."""

from __future__ import annotations

from typing import Any

SOURCE = r"""import { strictEqual } from 'node:assert';
import { render, screen } from '@testing-library/react';

test('renders', async () => {
  render(<Hello name="bob">hi {add(1, 2)}</Hello>);
  expect<string>(screen.getByRole('heading')!.textContent).toBe('Hello, bob' as string);
  expect(await load<number>(1)).toEqual<Result>({ kind: Kind.Sum, value: 3n });
});

test('counts', () => strictEqual(add(1, 2), 3 as number));

it('checks', (): void => {
  const expected: string[] = ['a', 'b'];
  assert.deepEqual(names(), expected);
  expect(size()).to.have.lengthOf(2);
  expect(mock).toHaveBeenCalledTimes(1);
});
"""

CHANGES = {
    "renders": [
        "expect<string>(screen.getByRole('heading')!.textContent).toBe('@' as string);",
        "expect(await load<number>(1)).toEqual<Result>({ kind: Kind.Sum, value: @ });",
        "expect<string>(screen.getByRole('heading')!.textContent).not.toBe('Hello, bob' as string);",
        "expect(await load<number>(1)).not.toEqual<Result>({ kind: Kind.Sum, value: 3n });",
        "expect(await load<number>(1)).toEqual<Result>({ kind: Kind.Sum, value: 3n }); throw new Error('# != #');",
    ],
    "counts": [
        "test('counts', () => strictEqual(add(1, 2), @ as number));",
        "test('counts', () => strictEqual(add(1, 2), ({ value: (3 as number) })));",
        "test('counts', () => (strictEqual(add(1, 2), 3 as number), (() => { throw new Error('# != #'); })()));",
    ],
    "checks": [
        "expect(size()).to.have.lengthOf(@);",
        "const expected: string[] = ['@', 'b'];",
        "const expected: string[] = ['a', '@'];",
        "assert.deepEqual(names(), ({ value: (expected) }));",
        "assert.notDeepEqual(names(), expected);",
        "expect(size()).to.have.not.lengthOf(2);",
        "expect(mock).not.toHaveBeenCalledTimes(1);",
        "expect(mock).toHaveBeenCalledTimes(1); throw new Error('# != #');",
    ],
}


def test_typescript(changes: Any) -> None:
    assert changes("test/calc.test.tsx", SOURCE) == CHANGES
