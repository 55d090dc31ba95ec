import { expect, test } from 'vitest';
import { contained } from '../../src/base/contained.ts';
import { silentLog } from '../support/silent-log.ts';

test('what a handler throws goes to the log, and the next message is dealt with', () => {
  const logged: string[] = [];
  const seen: number[] = [];
  const log = {
    ...silentLog,
    error: (fields: object, message: string) =>
      void logged.push(`${message}: ${String('err' in fields && fields.err)}`),
  };
  const handle = contained(log, 'a datagram', (a: number, b: number) => {
    if (a === 0) throw new Error('broken');
    seen.push(a, b);
  });
  handle(0, 1);
  handle(2, 3);
  expect(seen).toEqual([2, 3]);
  expect(logged).toEqual(['a datagram could not be dealt with: Error: broken']);
});
