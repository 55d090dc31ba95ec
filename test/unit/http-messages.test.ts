/** Messages between users over HTTP. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { HttpApp } from '../support/http-app.ts';
import { httpApp } from '../support/http-app.ts';

const ALICE = '10017676';
const BOB = '10043939';

let app: HttpApp;
let alice: { authorization: string };

beforeEach(async () => {
  app = await httpApp();
  for (const uid of [ALICE, BOB]) app.directory.put({ uid });
  alice = await app.loggedIn(ALICE);
});

interface Waiting {
  readonly number: number;
  readonly from: string;
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly body: string;
}

const send = (payload: object, headers: object = alice) =>
  app.ask({ method: 'POST', url: '/v1/messages', payload, headers: { ...headers } });
const list = async (headers: { authorization: string }, query = ''): Promise<readonly Waiting[]> =>
  (await app.ask({ url: `/v1/messages${query}`, headers })).json<{ messages: Waiting[] }>().messages;

describe('POST /v1/messages', () => {
  it('stores it for somebody who is offline, under the id that it tells', async () => {
    const reply = await send({ to: BOB, body: 'Grüße\n🙂' });
    expect(reply.statusCode).toBe(200);
    const { id, outcome } = reply.json<{ id: string; outcome: string }>();
    expect(outcome).toBe('stored');
    expect(await app.messages.waiting(BOB, 0)).toMatchObject([{ id, from: ALICE, body: 'Grüße\n🙂' }]);
  });

  it('is the same message where it is sent again with its id', async () => {
    for (let i = 0; i < 3; i++)
      expect((await send({ to: BOB, body: 'x', id: 'mine' })).json()).toMatchObject({ id: 'mine' });
    expect(await app.messages.waiting(BOB, 0)).toHaveLength(1);
  });

  it('takes 64 KiB of text and no more', async () => {
    expect((await send({ to: BOB, body: '€'.repeat(21_845), type: 'text/plain; charset=UTF-8' })).statusCode).toBe(200);
    expect((await send({ to: BOB, body: '\n'.repeat(65_536) })).statusCode).toBe(200);
    expect((await send({ to: BOB, body: 'x'.repeat(65_537) })).statusCode).toBe(413);
    expect((await send({ to: BOB, body: 'x'.repeat(200_000) })).statusCode).toBe(413);
  });

  it.each([
    ['without a text', { to: BOB }, 400],
    ['with something unknown', { to: BOB, body: 'x', more: 1 }, 400],
    ['with a control character', { to: BOB, body: 'a\0b' }, 400],
    ['with a type that is none', { to: BOB, body: 'x', type: 'text' }, 400],
    ['with an id that is none', { to: BOB, body: 'x', id: 'a b' }, 400],
    ['to nobody', { to: 'nobody', body: 'x' }, 404],
  ])('%s is refused', async (_what, payload, status) => {
    expect((await send(payload)).statusCode).toBe(status);
    expect(await app.messages.waiting(BOB, 0)).toEqual([]);
  });

  it('needs a session', async () => {
    expect((await send({ to: BOB, body: 'x' }, {})).statusCode).toBe(401);
    expect((await app.ask({ url: '/v1/messages' })).statusCode).toBe(401);
    expect((await app.ask({ method: 'DELETE', url: '/v1/messages/1' })).statusCode).toBe(401);
  });

  it('says why not: 507 where too many wait, 503 where the directory is away', async () => {
    for (let i = 0; i < 1_000; i++) {
      const to = { to: BOB, id: `m${i}`, contentType: 'text/plain', body: '' };
      await app.messages.send({ from: ALICE, mayCallOut: true, ...to });
    }
    expect((await send({ to: BOB, body: 'x' })).json()).toMatchObject({ status: 507, code: 'MAILBOX_FULL' });
    app.directory.down = true;
    expect((await send({ to: '10055501', body: 'x' })).statusCode).toBe(503);
  });
});

describe('those that wait', () => {
  it('are listed page by page in their order, also again, until each is deleted', async () => {
    for (let i = 0; i < 25; i++) await send({ to: BOB, body: String(i) });
    const bob = await app.loggedIn(BOB);
    const first = await list(bob);
    expect(first.map(({ body }) => body)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
    expect(first[0]).toMatchObject({ from: ALICE, type: 'text/plain', time: new Date(app.clock.now()).toISOString() });
    const rest = await list(bob, `?after=${first.at(-1)?.number ?? 0}`);
    expect(rest.map(({ body }) => body)).toEqual(['20', '21', '22', '23', '24']);
    for (const { number } of [...first, ...rest]) {
      expect((await app.ask({ method: 'DELETE', url: `/v1/messages/${number}`, headers: bob })).statusCode).toBe(200);
    }
    expect(await list(bob)).toEqual([]);
  });

  it('are those of the session only', async () => {
    await send({ to: BOB, body: 'for Bob' });
    const [message] = await app.messages.waiting(BOB, 0);
    expect(await list(alice)).toEqual([]);
    const url = `/v1/messages/${message?.number ?? 0}`;
    expect((await app.ask({ method: 'DELETE', url, headers: alice })).statusCode).toBe(404);
    expect(await app.messages.waiting(BOB, 0)).toHaveLength(1);
  });

  it.each(['x', '-1', '1e3', '9'.repeat(30)])('have numbers: %s is none', async (number) => {
    expect((await app.ask({ url: `/v1/messages?after=${number}`, headers: alice })).statusCode).toBe(400);
    const url = `/v1/messages/${number}`;
    expect((await app.ask({ method: 'DELETE', url, headers: alice })).statusCode).toBe(400);
  });
});
