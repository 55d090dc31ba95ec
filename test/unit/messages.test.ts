/** The flow of messages over the fake directory, on time that the test moves: no wire. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { VserverError } from '../../src/base/errors.ts';
import type { Message } from '../../src/directory/message-store.ts';
import { MESSAGES_MAX } from '../../src/directory/message-store.ts';
import type { DeviceAnswer, OnAnswer } from '../../src/messages/delivery.ts';
import type { Sent } from '../../src/messages/message-rules.ts';
import type { Draft } from '../../src/messages/messages.ts';
import type { Flows } from '../support/flows.ts';
import { flows, loggedIn } from '../support/flows.ts';

const ALICE = '10017676';
const BOB = '10043939';
const DAY_MS = 24 * 60 * 60 * 1000;

/** What the devices do, and what they got: `device body`. */
let answers: Map<string, DeviceAnswer | 'throws' | Promise<DeviceAnswer>>;
let got: string[];
let f: Flows;
let lastId: number;

function setUp(more: Parameters<typeof flows>[0] = {}): void {
  const deliver = (row: number, { body }: Message, onAnswer: OnAnswer): void => {
    const { instance } = f.table.sessions.text(row);
    got.push(`${instance} ${body}`);
    const answer = answers.get(instance) ?? 'taken';
    if (answer === 'throws') throw new Error('a bug of an edge');
    if (typeof answer === 'string') onAnswer(answer);
    else void answer.then(onAnswer);
  };
  f = flows({ deliver, ...more });
  for (const uid of [ALICE, BOB]) f.directory.put({ uid });
}

beforeEach(() => {
  answers = new Map();
  got = [];
  lastId = 0;
  setUp();
});

const draft = (body: string, more: Partial<Draft> = {}): Draft => ({
  ...{ from: ALICE, mayCallOut: true, to: BOB, id: `m${++lastId}`, contentType: 'text/plain', body },
  ...more,
});
const send = (body: string, more: Partial<Draft> = {}): Promise<Sent> => f.messages.send(draft(body, more));
/** As the login use case of core.ts ends. */
async function online(instance = 'desk', uid = BOB): Promise<number> {
  const row = await loggedIn(f, uid, { instance, source: { host: '10.0.0.1', port: 5000 + instance.length } });
  f.messages.arrived(uid);
  return row;
}
const waiting = async (uid = BOB): Promise<string[]> => (await f.messages.waiting(uid, 0)).map(({ body }) => body);
const settled = (): Promise<void> => f.time.advance(1_000);

describe('to somebody who is online here', () => {
  it('goes to all of his devices, and is delivered when one has taken it', async () => {
    await online('desk');
    await online('mobile');
    await settled();
    answers.set('mobile', 'silent');
    expect(await send('hello')).toBe('delivered');
    expect(got.sort()).toEqual(['desk hello', 'mobile hello']);
    expect(await waiting()).toEqual([]);
  });

  it('needs no directory for it', async () => {
    await online();
    await settled();
    f.directory.down = true;
    expect(await send('hello')).toBe('delivered');
  });

  it('is stored where a device can not be reached at all, and the next one is brought again', async () => {
    await online();
    await settled();
    answers.set('desk', 'throws');
    expect(await send('first')).toBe('stored');
    expect(await send('second')).toBe('stored');
    answers.set('desk', 'taken');
    f.messages.arrived(BOB);
    await settled();
    expect(await waiting()).toEqual([]);
    expect(await send('third')).toBe('delivered');
  });

  it('is stored where no device has taken it within 3 s, and taken out again where one does so later', async () => {
    await online();
    await settled();
    let take: (answer: DeviceAnswer) => void = () => undefined;
    answers.set('desk', new Promise((resolve) => (take = resolve)));
    const sent = send('late');
    await f.time.advance(2_999);
    expect(await waiting()).toEqual([]);
    await f.time.advance(1);
    expect(await sent).toBe('stored');
    expect(await waiting()).toEqual(['late']);
    take('taken');
    await settled();
    expect(await waiting()).toEqual([]);
    expect(got).toEqual(['desk late']);
  });

  it('is refused by the directory being away only where no device takes it', async () => {
    await online();
    await settled();
    answers.set('desk', 'silent');
    f.directory.down = true;
    await expect(send('hello')).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
    f.directory.down = false;
    answers.set('desk', 'taken');
    expect(await send('again')).toBe('delivered');
  });
});

describe('to somebody who is offline', () => {
  it('waits, and is brought in its order when he logs in, each one once', async () => {
    for (let i = 0; i < 50; i++) expect(await send(String(i))).toBe('stored');
    await online();
    await settled();
    expect(got).toEqual(Array.from({ length: 50 }, (_, i) => `desk ${i}`));
    expect(await waiting()).toEqual([]);
    await online('mobile');
    await settled();
    expect(got).toHaveLength(50);
  });

  it('comes after what waited already, also where he is online by then', async () => {
    await send('first');
    answers.set('desk', 'silent');
    await online();
    await settled();
    answers.set('desk', 'taken');
    got.length = 0;
    expect(await send('second')).toBe('stored');
    await settled();
    expect(got).toEqual(['desk first', 'desk second']);
  });

  it('is found by number, and unknown where there is nobody', async () => {
    f.directory.put({ uid: '10055501', region: 'china', countryCode: '86' });
    expect(await send('hello', { to: '08610055501' })).toBe('stored');
    expect(await waiting('10055501')).toEqual(['hello']);
    expect(await send('hello', { to: 'nobody' })).toBe('unknown-user');
  });

  it('stops where no device answers, tries again at a sign of life, less and less often, and at the next login', async () => {
    await send('hello');
    answers.set('desk', 'silent');
    const row = await online();
    await settled();
    expect(got).toHaveLength(1);
    const tries: number[] = [];
    for (let second = 0; second < 120; second++) {
      f.messages.heard(row);
      const before = got.length;
      await f.time.advance(1_000);
      if (got.length > before) tries.push(second);
    }
    expect(tries).toEqual([15, 46, 107]);
    answers.set('mobile', 'taken');
    await online('mobile');
    await settled();
    expect(await waiting()).toEqual([]);
  });

  it('a sign of life is that of the user whose row in the table it is, whoever had that before', async () => {
    await send('hello');
    answers.set('desk', 'silent');
    const row = await online();
    await settled();
    await f.time.advance(15_000);
    f.ends.end(row, 'logout');
    const next = await online('mobile', ALICE);
    expect(f.table.sessions.user(next)).toBe(f.table.sessions.user(row));
    await settled();
    const lists = (): number => f.directory.calls.filter((call) => call === 'listMessages').length;
    const before = lists();
    f.messages.heard(next);
    await settled();
    expect(lists()).toBe(before);
    expect(got).toEqual(['desk hello']);
    // And he is not forgotten for it.
    await online();
    await settled();
    expect(got).toEqual(['desk hello', 'desk hello']);
    await f.time.advance(60_000);
    f.messages.heard(f.table.rowsOf(f.table.users.find(BOB))[0] ?? -1);
    await settled();
    expect(got).toHaveLength(3);
  });

  it('passes by what his device can not take, which stays', async () => {
    await send('picture');
    await send('text');
    answers.set('desk', 'refused');
    await online();
    await settled();
    expect(await waiting()).toEqual(['picture', 'text']);
    answers.set('desk', 'taken');
    expect(await send('now')).toBe('delivered');
  });

  it('is not shown twice where it could not be removed when it was delivered', async () => {
    await send('hello');
    const messages = f.directory.messages;
    if (messages === null) throw new Error('no store');
    const remove = vi.spyOn(messages, 'remove').mockRejectedValue(new VserverError('DIRECTORY_UNAVAILABLE'));
    await online();
    await settled();
    remove.mockRestore();
    await online('mobile');
    await settled();
    expect(got).toEqual(['desk hello']);
    expect(await waiting()).toEqual([]);
  });

  it('is refused where 1,000 wait for him', async () => {
    for (let i = 0; i < MESSAGES_MAX; i++) await send(String(i));
    expect(await send('more')).toBe('full');
    await f.messages.acknowledged(BOB, (await f.messages.waiting(BOB, 0))[0]?.number ?? 0);
    expect(await send('more')).toBe('stored');
  });

  it('is forgotten after 7 days', async () => {
    await send('old');
    await f.time.advance(7 * DAY_MS);
    await send('new');
    await f.time.advance(1);
    expect(await waiting()).toEqual(['new']);
    await f.messages.tidy();
    expect((await f.directory.messages?.list(BOB, 0, 0))?.map(({ body }) => body)).toEqual(['new']);
  });

  it('is unreachable where there is no place for messages', async () => {
    setUp({ withoutStore: true });
    expect(await send('hello')).toBe('unreachable');
    expect(await waiting()).toEqual([]);
    await online();
    expect(await send('hello')).toBe('delivered');
  });
});

describe('where there is no place for messages', () => {
  beforeEach(() => {
    setUp({ withoutStore: true });
  });

  it('one to an invisible user, of which the sender is told that it failed, is shown once however often it comes', async () => {
    const row = await loggedIn(f, BOB, { instance: 'desk', status: 'invisible' });
    for (let i = 0; i < 2; i++) expect(await send('hello', { id: 'same' })).toBe('unreachable');
    f.table.update(row, { status: 'online' });
    expect(await send('hello', { id: 'same' })).toBe('delivered');
    expect(got).toEqual(['desk hello']);
  });

  it('one that a device has taken too late for its sender is shown once however often it comes', async () => {
    await online();
    let take: (answer: DeviceAnswer) => void = () => undefined;
    answers.set('desk', new Promise((resolve) => (take = resolve)));
    const sent = send('hello', { id: 'same' });
    await f.time.advance(5_000);
    expect(await sent).toBe('unreachable');
    take('taken');
    await settled();
    expect(await send('hello', { id: 'same' })).toBe('delivered');
    expect(got).toEqual(['desk hello']);
  });
});

describe('a repeated id of the same sender', () => {
  it('is the same message, delivered or stored', async () => {
    expect(await send('hello', { id: 'same' })).toBe('stored');
    expect(await send('hello', { id: 'same' })).toBe('stored');
    expect(await waiting()).toEqual(['hello']);
    await online();
    await settled();
    expect(await send('hello', { id: 'same' })).toBe('stored');
    expect(await send('other', { id: 'other' })).toBe('delivered');
    expect(await send('other', { id: 'other' })).toBe('delivered');
    expect(got).toEqual(['desk hello', 'desk other']);
  });

  it('of another sender, or to another recipient, is another message', async () => {
    await send('one', { id: 'same' });
    await send('two', { id: 'same', from: '10055501' });
    await send('three', { id: 'same', to: ALICE });
    expect(await waiting()).toEqual(['one', 'two']);
    expect(await waiting(ALICE)).toEqual(['three']);
  });

  it('is tried again where the first one failed', async () => {
    f.directory.down = true;
    await expect(send('hello', { id: 'same' })).rejects.toThrow();
    f.directory.down = false;
    expect(await send('hello', { id: 'same' })).toBe('stored');
    expect(await waiting()).toEqual(['hello']);
  });

  /** The next message is stored, but nobody learns of it. */
  const loseAnswer = (): void => {
    const { messages } = f.directory;
    if (messages === null) throw new Error('no store');
    const add = messages.add.bind(messages);
    vi.spyOn(messages, 'add').mockImplementationOnce(async (...args) => {
      await add(...args);
      throw new VserverError('DIRECTORY_UNAVAILABLE');
    });
  };

  it('comes once where the first one was stored, but the answer to that was lost', async () => {
    await online();
    await settled();
    answers.set('desk', 'silent');
    loseAnswer();
    await expect(send('hello', { id: 'same' })).rejects.toThrow();
    got = [];
    answers.set('desk', 'taken');
    expect(await send('hello', { id: 'same' })).toBe('stored');
    await settled();
    f.messages.arrived(BOB);
    await settled();
    expect(got).toEqual(['desk hello']);
    expect(await waiting()).toEqual([]);
  });

  it('comes once also where what was stored so has been brought before the sender repeats it', async () => {
    loseAnswer();
    await expect(send('hello', { id: 'same' })).rejects.toThrow();
    await online();
    await settled();
    expect(got).toEqual(['desk hello']);
    expect(await send('hello', { id: 'same' })).toBe('stored');
    await settled();
    expect(got).toEqual(['desk hello']);
    expect(await waiting()).toEqual([]);
  });

  it('is brought past the store again when so much time has gone that nobody would repeat it', async () => {
    await online();
    await settled();
    answers.set('desk', 'silent');
    f.directory.down = true;
    await expect(send('hello', { id: 'same' })).rejects.toThrow();
    await f.time.advance(10 * 60_000);
    answers.set('desk', 'taken');
    expect(await send('hello', { id: 'same' })).toBe('delivered');
  });
});

describe('who may send', () => {
  const recipient = (service: object, lists: object = {}): void => {
    const { user } = f.directory.row(BOB) ?? { user: undefined };
    if (user === undefined) throw new Error('no record');
    f.directory.put({ ...user, service: { ...user.service, ...service }, lists: { ...user.lists, ...lists } });
  };

  it.each(['offline', 'online'])('is told nothing where %s Bob blocks him: accepted, and gone', async (state) => {
    recipient({}, { blocked: [ALICE] });
    if (state === 'online') await online();
    await settled();
    expect(await send('hello')).toBe('stored');
    await settled();
    expect(got).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  it('are buddies where he is called by those only, and nobody where he does not want to be called', async () => {
    recipient({ mayBeCalledBy: 'buddies' });
    expect(await send('hello')).toBe('refused');
    recipient({ mayBeCalledBy: 'buddies' }, { buddies: [ALICE] });
    expect(await send('hello')).toBe('stored');
    recipient({ mayBeCalledBy: 'none' });
    expect(await send('hello')).toBe('refused');
    expect(await send('to myself', { from: BOB })).toBe('stored');
  });

  it('is nobody who may not call out', async () => {
    expect(await send('hello', { mayCallOut: false })).toBe('refused');
  });

  it('does not learn that an invisible one is there, who gets it all the same', async () => {
    await loggedIn(f, BOB, { instance: 'desk', status: 'invisible' });
    f.messages.arrived(BOB);
    await settled();
    expect(await send('hello')).toBe('stored');
    await settled();
    expect(got).toEqual(['desk hello']);
    expect(await waiting()).toEqual([]);
  });

  it('is told to slow down after 100 at once, each sender by himself', async () => {
    setUp({ isLimited: true });
    for (let i = 0; i < 100; i++) await send(String(i));
    await expect(send('more')).rejects.toMatchObject({ code: 'SLOW_DOWN', retryAfter: 1 });
    expect(await send('mine', { from: '10055501' })).toBe('stored');
    await f.time.advance(1_000);
    expect(await send('more')).toBe('stored');
  });
});

describe('what a message may be', () => {
  it.each([
    ['longer than 64 KiB', { body: '€'.repeat(21_846) }, 'TOO_LONG'],
    ['with a control character', { body: 'a\0b' }, 'BAD_REQUEST'],
    ['of no media type', { contentType: 'text' }, 'BAD_REQUEST'],
    ['of a media type with a line end', { contentType: 'text/plain; a="\r\n"' }, 'BAD_REQUEST'],
    ['of a media type with a line end before its parameters', { contentType: 'text/plain\r\n;x' }, 'BAD_REQUEST'],
    ['with an empty id', { id: '' }, 'BAD_REQUEST'],
    ['with an id of 65 characters', { id: 'x'.repeat(65) }, 'BAD_REQUEST'],
    ['with a space in its id', { id: 'a b' }, 'BAD_REQUEST'],
  ])('nothing %s', async (_what, more, code) => {
    await expect(send('hello', more)).rejects.toMatchObject({ code });
    expect(f.directory.calls).not.toContain('addMessage');
  });

  it('as long as 64 KiB, empty, and of several lines', async () => {
    const bodies = ['x'.repeat(64 * 1024), '', 'two\r\n\tlines 🙂'];
    for (const body of bodies) expect(await send(body)).toBe('stored');
    expect(await waiting()).toEqual(bodies);
  });

  it('that somebody is writing: told to those who are there, and never stored', async () => {
    const contentType = 'application/im-iscomposing+xml';
    expect(await send('<isComposing/>', { contentType })).toBe('stored');
    expect(await waiting()).toEqual([]);
    await online();
    await settled();
    expect(got).toEqual([]);
    expect(await send('<isComposing/>', { contentType })).toBe('delivered');
    answers.set('desk', 'silent');
    expect(await send('<isComposing/>', { contentType })).toBe('stored');
    expect(await waiting()).toEqual([]);
  });
});

describe('several nodes on one directory', () => {
  it('the node where he is online learns of what another one stored', async () => {
    const other = flows({ name: 'there', directory: f.directory, time: f.time });
    await online();
    await settled();
    await f.messages.look();
    expect(await other.messages.send(draft('from afar'))).toBe('stored');
    await f.messages.look();
    await settled();
    expect(got).toEqual(['desk from afar']);
    expect(await waiting()).toEqual([]);
  });

  it('a node learns at its start of all that waits for those who are still online', async () => {
    await send('before');
    const again = flows({
      directory: f.directory,
      time: f.time,
      deliver: (_row, { body }, onAnswer) => {
        got.push(`again ${body}`);
        onAnswer('taken');
      },
    });
    await loggedIn(again, BOB);
    await again.messages.look();
    await settled();
    expect(got).toEqual(['again before']);
  });

  it('a look does not try again what this node stored itself, nor what it has seen', async () => {
    answers.set('desk', 'silent');
    await online();
    await settled();
    const sent = send('hello');
    await settled();
    await sent;
    for (let i = 0; i < 10; i++) {
      await f.messages.look();
      await settled();
    }
    expect(got).toEqual(['desk hello']);
  });
});
