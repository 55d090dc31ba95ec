import { appendFile, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { VserverError } from '../../src/base/errors.ts';
import { NOWHERE } from '../../src/base/model.ts';
import type { Location } from '../../src/base/model.ts';
import type { Log } from '../../src/base/ports.ts';
import { openOutbox } from '../../src/login/outbox.ts';
import type { Outbox } from '../../src/login/outbox.ts';
import { manualTime, settle } from '../support/clock.ts';
import { fakeDirectory } from '../support/fake-directory.ts';
import type { FakeDirectory } from '../support/fake-directory.ts';

let folder = '';
let path = '';
let directory: FakeDirectory;
let time: ReturnType<typeof manualTime>;
let complaints: string[];
const opened: Outbox[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outbox-'));
  path = join(folder, 'outbox.jsonl');
  directory = fakeDirectory();
  time = manualTime();
  complaints = [];
});
afterEach(async () => {
  for (const outbox of opened.splice(0)) await outbox.close();
  await rm(folder, { recursive: true });
});

async function open(waitingMax?: number): Promise<Outbox> {
  const note = (_fields: object, message: string): void => void complaints.push(message);
  const log: Log = { debug: () => {}, info: () => {}, warn: note, error: note };
  const more = waitingMax === undefined ? {} : { waitingMax };
  const outbox = await openOutbox({ path, directory, log, timers: time.timers, ...more });
  opened.push(outbox);
  return outbox;
}

const at = (logoutAt: number, epoch = 1): Location => ({ ...NOWHERE, epoch, logoutAt });

/** A user who logged in once. */
async function online(uid: string): Promise<void> {
  directory.put({ uid });
  await directory.writeLocation(uid, { ...NOWHERE, epoch: 1 }, 0);
}
const written = (uid: string): number | null | undefined => directory.row(uid)?.location.logoutAt;

it('a logout is written at once while the directory is there', async () => {
  await online('a');
  const outbox = await open();
  outbox.add('a', at(7), 1);
  await settle();
  expect(written('a')).toBe(7);
  expect(outbox.waiting()).toBe(0);
});

it('a logout waits while the directory is down, and is written when it is back', async () => {
  await online('a');
  const outbox = await open();
  directory.down = true;
  outbox.add('a', at(7), 1);
  await time.advance(10_000);
  expect([written('a'), outbox.waiting()]).toEqual([null, 1]);
  directory.down = false;
  await time.advance(2_000);
  expect(written('a')).toBe(7);
  await time.advance(2_000);
  expect(outbox.waiting()).toBe(0);
});

it('a write that got no answer and is carried out after a later one does not stay', async () => {
  await online('a');
  const outbox = await open();
  directory.down = true;
  outbox.add('a', { ...at(7), hidden: true }, 1);
  await settle();
  directory.down = false;
  outbox.add('a', at(8), 1);
  await time.advance(2_000);
  expect(written('a')).toBe(8);
  // The server that hung takes up what it had read before.
  await directory.writeLocation('a', { ...at(7), hidden: true }, 1);
  await time.advance(2_000);
  expect([written('a'), directory.row('a')?.location.hidden, outbox.waiting()]).toEqual([8, false, 0]);
});

it('while the directory is down only a few ask it, once a round', async () => {
  const outbox = await open();
  directory.down = true;
  for (let i = 0; i < 1000; i++) outbox.add(`u${i}`, at(7), 1);
  await settle();
  expect(directory.calls).toHaveLength(16);
  await time.advance(2_000);
  expect(directory.calls).toHaveLength(32);
});

it('never more than 16 are on their way, and all arrive', async () => {
  for (let i = 0; i < 100; i++) await online(`u${i}`);
  const outbox = await open();
  directory.held = true;
  for (let i = 0; i < 100; i++) outbox.add(`u${i}`, at(i + 1), 1);
  await settle();
  expect(directory.waiting()).toBe(16);
  directory.release(3);
  await settle();
  expect(directory.waiting()).toBe(16);
  directory.held = false;
  directory.release();
  await outbox.flush();
  expect(outbox.waiting()).toBe(0);
  expect(written('u99')).toBe(100);
});

it('what waits survives the end of the process, in a file only for its owner', async () => {
  await online('a');
  await online('b');
  directory.down = true;
  const before = await open();
  before.add('a', at(7), 1);
  before.add('b', at(8), 1);
  before.add('a', at(9), 1);
  await before.close();
  expect((await stat(path)).mode & 0o777).toBe(0o600);

  directory.down = false;
  const after = await open();
  expect(after.waiting()).toBe(2);
  await after.flush();
  expect([written('a'), written('b'), after.waiting()]).toEqual([9, 8, 0]);
  await after.close();
  expect((await open()).waiting()).toBe(0);
});

it('a line cut short by kill -9 costs nothing but itself, nor do lines of nonsense', async () => {
  await online('a');
  directory.down = true;
  const before = await open();
  before.add('a', at(7), 1);
  await before.close();
  await appendFile(path, '17\n["x",5]\n["y",{"location":null,"epoch":1}]\n["b",{"location":{"ser');
  const after = await open();
  expect(after.waiting()).toBe(1);
  expect(complaints).toContain('lines of the outbox that make no sense were left out');
  after.add('c', at(8), 1);
  await after.close();
  expect((await open()).waiting()).toBe(2);
});

it('a logout that lost its race, or whose user is gone, is done', async () => {
  await online('a');
  await directory.writeLocation('a', { ...NOWHERE, epoch: 2 }, 1);
  const outbox = await open();
  outbox.add('a', at(7), 1);
  outbox.add('nobody', at(7), 1);
  await settle();
  expect([written('a'), outbox.waiting()]).toEqual([null, 0]);
});

it('a newer write of the same user replaces the one that waits, and follows the one on its way', async () => {
  await online('a');
  const outbox = await open();
  directory.held = true;
  outbox.add('a', at(7), 1);
  await settle();
  outbox.add('a', at(8), 1);
  outbox.add('a', at(9), 1);
  await settle();
  expect(directory.waiting()).toBe(1);
  directory.held = false;
  directory.release();
  await settle();
  expect([written('a'), outbox.waiting()]).toEqual([9, 0]);
  expect(directory.calls.filter((call) => call === 'writeLocation')).toHaveLength(3);
});

it('what can never be written is given up with a word in the log', async () => {
  directory.writeLocation = () => Promise.reject(new VserverError('READ_ONLY'));
  const outbox = await open();
  outbox.add('a', at(7), 1);
  await settle();
  expect(outbox.waiting()).toBe(0);
  expect(complaints).toEqual(['location can not be written, given up']);
});

it('past its bound the oldest is given up with a word in the log', async () => {
  directory.down = true;
  const outbox = await open(2);
  for (const uid of ['a', 'b', 'c']) outbox.add(uid, at(7), 1);
  expect(outbox.waiting()).toBe(2);
  expect(complaints).toEqual(['too many location writes wait, the oldest is given up']);
});

it('the file does not grow with what was written long ago', async () => {
  const outbox = await open();
  directory.put({ uid: 'a' });
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 1000; i++) outbox.add(`u${i}`, at(7), 0);
    await outbox.flush();
  }
  await outbox.close();
  expect((await readFile(path, 'utf8')).split('\n').length).toBeLessThan(13_000);
});

it('a disk that refuses is told to the log, and tried again each round', async () => {
  await online('a');
  const outbox = await open();
  directory.down = true;
  await rm(folder, { recursive: true });
  outbox.add('a', at(7), 1);
  await expect.poll(() => complaints).toContain('outbox can not be saved');
  await mkdir(folder);
  await time.advance(2_000);
  await outbox.close();
  expect(await readFile(path, 'utf8')).toContain('"logoutAt":7');
});
