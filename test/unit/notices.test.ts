import { expect, test } from 'vitest';
import { Notices } from '../../src/udp/notices.ts';
import { manualTime } from '../support/clock.ts';

const TO = { host: '10.0.0.1', port: 1 };

function setUp() {
  const time = manualTime();
  let last = 0;
  const random = { bytes: (length: number) => Buffer.from((++last).toString(16).padStart(2 * length, '0'), 'hex') };
  const notices = new Notices({ timers: time.timers, random });
  const sent: string[] = [];
  const notify = () => {
    let made = '';
    notices.send(
      'cookie',
      TO,
      (id) => Buffer.from((made = id)),
      (bytes) => void sent.push(bytes.toString()),
    );
    return made;
  };
  return { time, notices, sent, notify };
}

test('a notice is sent at once and repeated 0.5, 1, 2, 4 s later, the same each time; then it is given up', async () => {
  const { time, sent, notify } = setUp();
  const id = notify();
  const counts = [];
  for (const ms of [499, 1, 499, 1, 999, 1, 1_999, 1]) {
    await time.advance(ms);
    counts.push(sent.length);
  }
  expect(counts).toEqual([1, 2, 2, 3, 3, 4, 4, 5]);
  expect(new Set(sent)).toEqual(new Set([id]));
  expect(time.running()).toBe(0);
});

test('an Ok ends it, of this session and with this id only', async () => {
  const { time, notices, sent, notify } = setUp();
  const id = notify();
  notices.acknowledged('another', id);
  notices.acknowledged('cookie', 's0');
  expect(time.running()).toBe(1);
  notices.acknowledged('cookie', id);
  notices.acknowledged('cookie', id);
  await time.advance(10_000);
  expect(sent).toHaveLength(1);
});

test('an Ok that comes before the sending returns counts', async () => {
  const { time, notices } = setUp();
  let sent = 0;
  const id = { last: '' };
  notices.send(
    'cookie',
    TO,
    (made) => Buffer.from((id.last = made)),
    () => {
      // The first one gets lost.
      if (++sent === 2) notices.acknowledged('cookie', id.last);
    },
  );
  await time.advance(10_000);
  expect(sent).toBe(2);
  expect(time.running()).toBe(0);
});

test('no more than 10,000 wait; further ones are sent once', async () => {
  const { time, notices, sent, notify } = setUp();
  for (let i = 0; i < 10_100; i++) notify();
  expect(time.running()).toBeLessThanOrEqual(10_000);
  expect(sent).toHaveLength(10_100);
  notices.close();
  expect(time.running()).toBe(0);
  await time.advance(10_000);
  expect(sent).toHaveLength(10_100);
});
