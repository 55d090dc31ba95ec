/** What nodes tell each other over the bus, and what the bus refuses. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import { createBus } from '../../src/bus/bus.ts';
import { seal } from '../../src/bus/envelope.ts';
import { createReplayGuard } from '../../src/bus/replay-guard.ts';
import { manualTime } from '../support/clock.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Fate } from '../support/wire.ts';
import { memoryWires } from '../support/wire.ts';

const KEY = 'the key of this cluster';

function cluster(fate?: Fate) {
  const time = manualTime();
  const wires = memoryWires(time.timers, fate);
  const random = { bytes: (length: number) => randomBytes(length) };
  const node = (name: string, { key = KEY, aheadMs = 0 } = {}): Bus =>
    createBus({
      ...{ wire: wires.plug(name), clusterKey: key, name, random, log: silentLog },
      clock: { now: () => time.clock.now() + aheadMs },
    });
  const heard: unknown[] = [];
  const listening = (name: string, options: { key?: string; aheadMs?: number } = {}, anyTime = false): Bus => {
    const bus = node(name, options);
    bus.on('news', (body, from) => void heard.push([name, from, body]), { anyTime });
    return bus;
  };
  return { time, wires, node, listening, heard };
}

test('one of another key is not heard', async () => {
  const { time, node } = cluster();
  const [a] = [node('a'), node('b', { key: 'another key' })];
  const answer = a.ask('b', 'news', {}, 100);
  await time.advance(200);
  expect(await answer).toBe('nobody');
});

test('what is told to all reaches all others, what is told to one only him', async () => {
  const { time, listening, heard } = cluster();
  const [a] = [listening('a'), listening('b'), listening('c')];
  a.tellAll('news', { n: 1 });
  a.tell('c', 'news', { n: 2 });
  await time.advance(1);
  expect(heard).toEqual([
    ['b', 'a', { n: 1 }],
    ['c', 'a', { n: 1 }],
    ['c', 'a', { n: 2 }],
  ]);
});

test('a question gets its answer, nobody where no node listens, silence where none comes in time', async () => {
  const { time, node } = cluster();
  const [a, b] = [node('a'), node('b')];
  b.on('double', (body) => Promise.resolve({ is: 2 * (body as { of: number }).of }));
  b.on('think', () => undefined);
  const answers = [a.ask('b', 'double', { of: 21 }, 500), a.ask('gone', 'double', { of: 1 }, 500)];
  const slow = a.ask('b', 'think', {}, 500);
  await time.advance(500);
  expect(await Promise.all(answers)).toEqual([{ body: { is: 42 }, at: expect.any(Number) as number }, 'nobody']);
  expect(await slow).toBe('silence');
  expect(a.counters.unanswered).toBe(2);
});

test('an answer of another node, or to another question, is none', async () => {
  const { time, wires, node } = cluster();
  const a = node('a');
  expect(await a.ask('b', 'double', {}, 500)).toBe('nobody');
  const subject = wires.sent[0]?.subject ?? '';
  wires.plug('thief').subscribe(subject, (bytes, answer) => {
    const nonce = (JSON.parse(Buffer.from(bytes).toString().slice(44)) as { nonce: string }).nonce;
    const from = { run: 'r', at: time.clock.now(), nonce: 'x', kind: 'double', body: { is: 0 } };
    // The right key, but another node; then the right node, but another question.
    answer?.(seal(KEY, nonce, { ...from, from: 'c' }));
  });
  const again = a.ask('b', 'double', {}, 500);
  await time.advance(500);
  expect(await again).toBe('silence');
  expect(a.counters.forged).toBe(1);
});

test('what was made with another key, changed, or sent to another subject is refused and counted', async () => {
  const { time, wires, listening, node, heard } = cluster();
  const [a, b] = [node('a'), listening('b')];
  a.tell('b', 'news', { n: 1 });
  const [{ subject, bytes } = { subject: '', bytes: Buffer.alloc(0) }] = wires.sent;
  wires.inject(subject, Buffer.from(Buffer.from(bytes).toString().replace('"n":1', '"n":9')));
  wires.inject(subject, Buffer.from('rubbish'));
  wires.inject(subject, Buffer.alloc(100_000));
  const foreign = { from: 'a', run: 'r', at: time.clock.now(), nonce: 'n', kind: 'news', body: {} };
  wires.inject(subject, seal('the key of another cluster', subject, foreign));
  wires.inject(subject, seal(KEY, `${subject}.all`, foreign));
  expect(b.counters.forged).toBe(5);
  expect(heard).toEqual([]);
  await time.advance(1);
  expect(heard).toHaveLength(1);
});

test('clusters of different keys on one wire do not even hear each other', async () => {
  const { time, listening, heard } = cluster();
  const [a, other] = [listening('a'), listening('b', { key: 'the key of another cluster' })];
  a.tellAll('news', {});
  a.tell('b', 'news', {});
  await time.advance(1);
  expect(heard).toEqual([]);
  expect(other.counters.forged).toBe(0);
});

test('a replay is refused, and a message of half a minute ago or ahead', async () => {
  const { time, wires, listening, node, heard } = cluster(() => [0, 5]);
  const [a, b] = [node('a'), listening('b')];
  a.tell('b', 'news', {});
  await time.advance(10);
  expect(heard).toHaveLength(1);
  expect(b.counters.replayed).toBe(1);
  const [{ subject, bytes } = { subject: '', bytes: Buffer.alloc(0) }] = wires.sent;
  await time.advance(29_000);
  wires.inject(subject, bytes);
  expect(b.counters.replayed).toBe(2);
  await time.advance(2_000);
  wires.inject(subject, bytes);
  node('fast', { aheadMs: 31_000 }).tell('b', 'news', {});
  await time.advance(10);
  expect(b.counters.stale).toBe(3);
  expect(heard).toHaveLength(1);
});

test('what may come at any time is heard whatever the clocks say', async () => {
  const { time, listening, node, heard } = cluster();
  listening('b', { aheadMs: 3_600_000 }, true);
  node('a').tell('b', 'news', {});
  await time.advance(1);
  expect(heard).toHaveLength(1);
});

test('while the wire is down nothing waits for it', async () => {
  const { wires, node } = cluster();
  const a = node('a');
  wires.down = true;
  a.tellAll('news', {});
  expect(await a.ask('b', 'news', {}, 500)).toBe('down');
  expect(wires.sent).toEqual([]);
});

test('a handler that fails answers nothing and hurts nobody', async () => {
  const { time, node } = cluster();
  const [a, b] = [node('a'), node('b')];
  b.on('break', () => {
    throw new Error('broken');
  });
  const answer = a.ask('b', 'break', {}, 100);
  await time.advance(100);
  expect(await answer).toBe('silence');
});

test('a full memory of nonces takes no more, rather than what it could not tell from a replay', () => {
  const guard = createReplayGuard(1_000, 2);
  expect(['a', 'b', 'c'].map((nonce) => guard.check(nonce, 0, 0))).toEqual(['fresh', 'fresh', 'replayed']);
  expect(guard.check('a', 1_500, 2_500)).toBe('replayed');
  expect(guard.check('c', 2_500, 2_500)).toBe('fresh');
});

test('a node hears its namesake, though not itself', async () => {
  const { time, listening, heard } = cluster();
  const [a] = [listening('a'), listening('a')];
  a.tell('a', 'news', {});
  await time.advance(1);
  expect(heard).toEqual([['a', 'a', {}]]);
});
