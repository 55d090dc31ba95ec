/** Who has logged in is asked about together with the others. */
import { describe, expect, it } from 'vitest';
import { RECIPIENTS_MAX } from '../../src/directory/message-store.ts';
import { createNewcomers } from '../../src/messages/newcomers.ts';
import { manualTime } from '../support/clock.ts';
import { silentLog } from '../support/silent-log.ts';

const SETTLE_MS = 100;

function started(answer: (uids: readonly string[]) => Promise<ReadonlySet<string>>) {
  const time = manualTime();
  const asked: string[][] = [];
  const waiting: string[] = [];
  const doubted: string[] = [];
  const newcomers = createNewcomers({
    store: {
      recipientsAmong(uids) {
        asked.push([...uids]);
        return answer(uids);
      },
    },
    timers: time.timers,
    log: silentLog,
    settleMs: SETTLE_MS,
    onWaiting: (uid) => waiting.push(uid),
    onDoubt: (uid) => doubted.push(uid),
  });
  return { time, asked, waiting, doubted, newcomers };
}

describe('newcomers', () => {
  it('are asked about in few queries, and none of them is unknown before', async () => {
    const { time, asked, waiting, newcomers } = started(() => Promise.resolve(new Set(['u1', 'u600'])));
    for (let i = 0; i < RECIPIENTS_MAX + 100; i++) newcomers.add(`u${i}`);
    expect(newcomers.has('u5')).toBe(true);
    await time.advance(SETTLE_MS);
    expect(asked.map((uids) => uids.length)).toEqual([RECIPIENTS_MAX, 100]);
    expect(waiting).toEqual(['u1', 'u600']);
    expect(newcomers.has('u5')).toBe(false);
    newcomers.add('late');
    await time.advance(SETTLE_MS);
    expect(asked[2]).toEqual(['late']);
  });

  it('one who comes again while he is asked about is asked about again', async () => {
    const answers: ((found: ReadonlySet<string>) => void)[] = [];
    const { time, asked, newcomers } = started(() => new Promise((resolve) => answers.push(resolve)));
    newcomers.add('alice');
    await time.advance(SETTLE_MS);
    newcomers.add('alice');
    answers[0]?.(new Set());
    await time.advance(SETTLE_MS);
    expect(asked).toEqual([['alice'], ['alice']]);
    expect(newcomers.has('alice')).toBe(true);
    answers[1]?.(new Set());
    await time.advance(SETTLE_MS);
    expect(newcomers.has('alice')).toBe(false);
  });

  it('are held where the directory can not be asked, and later ones are asked about all the same', async () => {
    const { time, asked, doubted, newcomers } = started(() => Promise.reject(new Error('away')));
    newcomers.add('alice');
    await time.advance(SETTLE_MS);
    newcomers.add('bob');
    await time.advance(SETTLE_MS);
    expect(asked).toEqual([['alice'], ['bob']]);
    expect(doubted).toEqual(['alice', 'bob']);
  });
});
