import { beforeEach, describe, expect, it } from 'vitest';
import type { Flow } from '../../src/sip/flow.ts';
import { parseMessage, SipRequest, SipResponse } from '../../src/sip/message.ts';
import type { AnyResponse, ReadResponse } from '../../src/sip/message.ts';
import { makeResponse } from '../../src/sip/response.ts';
import type { EndReason, Transaction } from '../../src/sip/transaction.ts';
import { createTransactions, LIMITS } from '../../src/sip/transactions.ts';
import type { Transactions } from '../../src/sip/transactions.ts';
import { manualTime } from '../support/clock.ts';
import type { ManualTime } from '../support/clock.ts';
import { sipRequest, sipResponse } from '../support/sip-messages.ts';
import type { MessageOptions } from '../support/sip-messages.ts';

let time: ManualTime;
let table: Transactions;
/** When (ms) which first line went out. */
let sent: string[];
let ended: EndReason[];
let responses: number[];
let startedAt: number;

beforeEach(() => {
  time = manualTime();
  table = createTransactions(time.timers, () => UDP);
  sent = [];
  ended = [];
  responses = [];
  startedAt = time.clock.now();
});

const user = {
  onResponse: ({ status }: AnyResponse) => void responses.push(status),
  onEnd: (reason: EndReason) => void ended.push(reason),
};

function flow(isReliable: boolean, id = 'flow 1'): Flow {
  return {
    transport: isReliable ? 'tcp' : 'udp',
    remote: { host: '192.0.2.1', port: 5060 },
    local: { host: '192.0.2.10', port: 5060 },
    id,
    isReliable,
    send(bytes) {
      const [, word = '', other = ''] = /^(\S+) (\S+)/.exec(Buffer.from(bytes).toString()) ?? [];
      sent.push(`${time.clock.now() - startedAt} ${word === 'SIP/2.0' ? other : word}`);
    },
    close: () => undefined,
  };
}
const UDP = flow(false);
const TCP = flow(true);

function request(method: string, options: MessageOptions = {}): SipRequest {
  const message = parseMessage(Buffer.from(sipRequest(method, options)));
  if (message instanceof SipRequest) return message;
  throw new Error('no request');
}

/** One of which only the status was read. */
function read(status: number): ReadResponse {
  return { kind: 'read', status, whole: response(status, 'OPTIONS'), relayed: () => Buffer.alloc(0) };
}

function response(status: number, method: string, options: MessageOptions = {}): SipResponse {
  const message = parseMessage(Buffer.from(sipResponse(status, method, { toTag: 'to-1', ...options })));
  if (message instanceof SipResponse) return message;
  throw new Error('no response');
}

function serve(method: string, over = UDP, options: MessageOptions = {}): Transaction {
  return table.openServer({ request: request(method, options), flow: over }, user);
}

function respond(tx: Transaction, ...statuses: number[]): void {
  const asked = tx.request ?? request('OPTIONS');
  for (const status of statuses) tx.respond(status, makeResponse(asked, status, 'Because'));
}

function ask(method: string, over = UDP, options: MessageOptions = {}): Transaction {
  const { topVia } = request(method, options);
  const named = { method, branch: topVia.branch };
  return table.openClient(named, Buffer.from(sipRequest(method, options)), over, user);
}

describe('INVITE client transaction (17.1.1)', () => {
  it('calling: over UDP timer A sends again, doubling; timer B ends it after 64*T1', async () => {
    const tx = ask('INVITE');
    expect(tx.state).toBe('calling');
    await time.advance(31_999);
    expect(sent).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500, 31_500].map((ms) => `${ms} INVITE`));
    expect(ended).toEqual([]);
    await time.advance(1);
    expect(ended).toEqual(['timeout']);
    expect([table.count(), time.running()]).toEqual([0, 0]);
  });

  it('calling: over TCP nothing is sent again', async () => {
    ask('INVITE', TCP);
    await time.advance(32_000);
    expect(sent).toEqual(['0 INVITE']);
    expect(ended).toEqual(['timeout']);
  });

  it('proceeding: a 1xx stops timers A and B', async () => {
    const tx = ask('INVITE');
    table.receiveResponse(response(100, 'INVITE'));
    table.receiveResponse(response(180, 'INVITE'));
    await time.advance(180_000);
    expect(tx.state).toBe('proceeding');
    expect(sent).toEqual(['0 INVITE']);
    expect(responses).toEqual([100, 180]);
  });

  it('completed: 300–699 are acknowledged, and again when they come again; timer D ends it', async () => {
    const tx = ask('INVITE');
    table.receiveResponse(response(486, 'INVITE'));
    await time.advance(1_000);
    expect(table.receiveResponse(response(486, 'INVITE'))).toBe(true);
    table.receiveResponse(response(180, 'INVITE'));
    expect(sent).toEqual(['0 INVITE', '0 ACK', '1000 ACK']);
    expect(responses).toEqual([486]);
    expect(tx.state).toBe('completed');
    await time.advance(31_000);
    expect(table.count()).toBe(0);
  });

  it('completed: over TCP timer D is zero', () => {
    ask('INVITE', TCP);
    table.receiveResponse(response(486, 'INVITE'));
    expect(sent).toEqual(['0 INVITE', '0 ACK']);
    expect([responses, table.count()]).toEqual([[486], 0]);
  });

  it('accepted (RFC 6026): each 2xx goes to its user and none is acknowledged here; timer M ends it', async () => {
    const tx = ask('INVITE', TCP);
    table.receiveResponse(response(200, 'INVITE'));
    table.receiveResponse(response(200, 'INVITE', { toTag: 'to-2' }));
    table.receiveResponse(response(486, 'INVITE'));
    expect(tx.state).toBe('accepted');
    expect(responses).toEqual([200, 200]);
    expect(sent).toEqual(['0 INVITE']);
    await time.advance(32_000);
    expect(table.count()).toBe(0);
  });

  it('the ACK has the Request-URI, Via, From, Call-ID, CSeq number and Routes of the INVITE, the To of the response', () => {
    const bytes: string[] = [];
    const options = { extra: 'Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>' };
    const over = { ...UDP, send: (sentBytes: Uint8Array) => void bytes.push(Buffer.from(sentBytes).toString()) };
    ask('INVITE', over, options);
    table.receiveResponse(response(486, 'INVITE'));
    const ack = parseMessage(Buffer.from(bytes[1] ?? ''), { stream: true });
    expect(ack).toMatchObject({
      kind: 'request',
      method: 'ACK',
      requestUri: 'sip:bob@example.com',
      callId: 'call-1',
      cseq: { number: 1, method: 'ACK' },
      topVia: { branch: 'z9hG4bK-1' },
      fromTag: 'from-1',
      toTag: 'to-1',
    });
    expect((ack as SipRequest).headers('Route')).toEqual(['<sip:p1.example.com;lr>', '<sip:p2.example.com;lr>']);
  });
});

describe('client transaction of other methods (17.1.2)', () => {
  it('trying: timer E doubles up to T2; timer F ends it after 64*T1', async () => {
    ask('OPTIONS');
    await time.advance(32_000);
    const times = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    expect(sent).toEqual(times.map((ms) => `${ms} OPTIONS`));
    expect(ended).toEqual(['timeout']);
  });

  it('proceeding: timer E runs on with T2, timer F too', async () => {
    const tx = ask('OPTIONS');
    table.receiveResponse(response(100, 'OPTIONS'));
    expect(tx.state).toBe('proceeding');
    await time.advance(9_000);
    expect(sent).toEqual(['0 OPTIONS', '500 OPTIONS', '4500 OPTIONS', '8500 OPTIONS']);
    await time.advance(23_000);
    expect(ended).toEqual(['timeout']);
  });

  it('completed: it is over at once, and retransmissions of the response belong to nobody', async () => {
    ask('OPTIONS');
    table.receiveResponse(response(200, 'OPTIONS'));
    expect([responses, table.count(), time.running()]).toEqual([[200], 0, 0]);
    expect(table.receiveResponse(response(200, 'OPTIONS'))).toBe(false);
    await time.advance(5_000);
    expect([responses, ended, sent]).toEqual([[200], [], ['0 OPTIONS']]);
  });

  it('of which only the status is of interest hears each, final or not, from a message that was not read whole too', () => {
    const statuses: number[] = [];
    const { topVia } = request('OPTIONS');
    const bytes = Buffer.from(sipRequest('OPTIONS'));
    table.openClient({ method: 'OPTIONS', branch: topVia.branch }, bytes, UDP, {
      onStatus: (status) => void statuses.push(status),
    });
    expect(table.receiveRead('NOTIFY', topVia.branch, read(200))).toBe(false);
    expect(table.receiveRead('OPTIONS', topVia.branch, read(100))).toBe(true);
    table.receiveResponse(response(183, 'OPTIONS'));
    expect(table.receiveRead('OPTIONS', topVia.branch, read(202))).toBe(true);
    expect(table.receiveRead('OPTIONS', topVia.branch, read(202))).toBe(false);
    expect([statuses, table.count()]).toEqual([[100, 183, 202], 0]);
  });

  it('over TCP nothing is sent again', async () => {
    ask('OPTIONS', TCP);
    await time.advance(5_000);
    table.receiveResponse(response(200, 'OPTIONS'));
    expect([sent, responses, table.count()]).toEqual([['0 OPTIONS'], [200], 0]);
  });
});

describe('INVITE server transaction (17.2.1)', () => {
  it('proceeding: 100 after 200 ms, unless its user is quicker', async () => {
    serve('INVITE');
    await time.advance(199);
    expect(sent).toEqual([]);
    await time.advance(1);
    expect(sent).toEqual(['200 100']);
    respond(serve('INVITE', UDP, { branch: 'z9hG4bK-2' }), 180);
    await time.advance(1_000);
    expect(sent).toEqual(['200 100', '200 180']);
  });

  it('proceeding: a retransmission gets the last provisional response again', () => {
    const tx = serve('INVITE');
    expect(table.receiveRequest(request('INVITE'))).toBe(true);
    respond(tx, 180, 183);
    table.receiveRequest(request('INVITE'));
    expect(sent).toEqual(['0 180', '0 183', '0 183']);
  });

  it('completed: over UDP timer G sends again up to T2, until timer H', async () => {
    const tx = serve('INVITE');
    respond(tx, 486);
    expect(tx.state).toBe('completed');
    await time.advance(32_000);
    const times = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    expect(sent).toEqual(times.map((ms) => `${ms} 486`));
    expect(table.count()).toBe(0);
  });

  it('completed: over TCP only a retransmission is answered again; without an ACK timer H ends it', async () => {
    respond(serve('INVITE', TCP), 486);
    table.receiveRequest(request('INVITE'));
    await time.advance(32_000);
    expect([sent, table.count()]).toEqual([['0 486', '0 486'], 0]);
  });

  it('confirmed: the ACK stops timers G and H; further ACKs are absorbed until timer I', async () => {
    const tx = serve('INVITE');
    respond(tx, 486);
    expect(table.receiveRequest(request('ACK', { toTag: 'to-1' }))).toBe(true);
    expect(tx.state).toBe('confirmed');
    await time.advance(4_999);
    expect(table.receiveRequest(request('ACK', { toTag: 'to-1' }))).toBe(true);
    await time.advance(1);
    expect([sent, table.count()]).toEqual([['0 486'], 0]);
    expect(table.receiveRequest(request('ACK', { toTag: 'to-1' }))).toBe(false);
  });

  it('confirmed: over TCP timer I is zero', () => {
    respond(serve('INVITE', TCP), 486);
    table.receiveRequest(request('ACK', { toTag: 'to-1' }));
    expect(table.count()).toBe(0);
  });

  it('accepted (RFC 6026): retransmissions are absorbed, 2xx pass, others do not; timer L ends it', async () => {
    const tx = serve('INVITE');
    respond(tx, 200);
    table.receiveRequest(request('INVITE'));
    respond(tx, 200, 486, 180);
    table.receiveRequest(request('ACK', { toTag: 'to-1' }));
    expect(tx.state).toBe('accepted');
    expect(sent).toEqual(['0 200', '0 200']);
    await time.advance(32_000);
    expect([table.count(), time.running()]).toEqual([0, 0]);
  });
});

describe('server transaction of other methods (17.2.2)', () => {
  it('trying: retransmissions are absorbed in silence', () => {
    const tx = serve('REGISTER');
    expect(table.receiveRequest(request('REGISTER'))).toBe(true);
    expect([tx.state, sent]).toEqual(['trying', []]);
  });

  it('proceeding and completed: retransmissions get the last response again, until timer J', async () => {
    const tx = serve('REGISTER');
    respond(tx, 100);
    table.receiveRequest(request('REGISTER'));
    respond(tx, 200, 500);
    table.receiveRequest(request('REGISTER'));
    expect(sent).toEqual(['0 100', '0 100', '0 200', '0 200']);
    await time.advance(31_999);
    expect(table.receiveRequest(request('REGISTER'))).toBe(true);
    expect(sent.at(-1)).toBe('31999 200');
    await time.advance(1);
    expect(table.receiveRequest(request('REGISTER'))).toBe(false);
    expect([tx.state, table.count(), time.running()]).toEqual(['terminated', 0, 0]);
  });

  it('completed: the answer goes where the first one went, whoever asks again', () => {
    const asked: string[] = [];
    table = createTransactions(time.timers, ({ host, port }) => {
      asked.push(`${host}:${port}`);
      return UDP;
    });
    respond(serve('REGISTER'), 200);
    table.receiveRequest(request('REGISTER'));
    expect([asked, sent]).toEqual([['192.0.2.1:5060'], ['0 200', '0 200']]);
  });

  it('completed: over TCP timer J is zero', () => {
    respond(serve('REGISTER', TCP), 200);
    expect(table.count()).toBe(0);
  });
});

describe('matching (17.1.3, 17.2.3)', () => {
  it('a request by branch, sent-by and method', () => {
    serve('OPTIONS', UDP, { sentBy: 'Host.example.com:5070' });
    const same = { sentBy: 'host.example.com:5070' };
    expect(table.receiveRequest(request('OPTIONS', same))).toBe(true);
    expect(table.receiveRequest(request('MESSAGE', same))).toBe(false);
    expect(table.receiveRequest(request('OPTIONS', { sentBy: 'host.example.com' }))).toBe(false);
    expect(table.receiveRequest(request('OPTIONS', { ...same, branch: 'z9hG4bK-2' }))).toBe(false);
  });

  it('a CANCEL is a transaction of its own, and finds its INVITE', () => {
    const invite = serve('INVITE');
    expect(table.receiveRequest(request('CANCEL'))).toBe(false);
    expect(table.inviteOf(request('CANCEL'))).toBe(invite);
    serve('CANCEL');
    expect(table.receiveRequest(request('CANCEL'))).toBe(true);
    expect(table.inviteOf(request('CANCEL', { branch: 'z9hG4bK-2' }))).toBeUndefined();
  });

  it('of RFC 2543 (no magic cookie) by Request-URI, From tag, Call-ID, CSeq and Via', () => {
    const old = { branch: '' };
    const invite = serve('INVITE', UDP, old);
    expect(table.receiveRequest(request('INVITE', old))).toBe(true);
    expect(table.receiveRequest(request('INVITE', { ...old, cseq: 2 }))).toBe(false);
    expect(table.receiveRequest(request('INVITE', { ...old, callId: 'call-2' }))).toBe(false);
    expect(table.receiveRequest(request('INVITE', { ...old, sentBy: '192.0.2.2' }))).toBe(false);
    respond(invite, 486);
    expect(table.inviteOf(request('CANCEL', old))).toBe(invite);
    expect(table.receiveRequest(request('ACK', { ...old, toTag: 'to-1' }))).toBe(true);
    expect(invite.state).toBe('confirmed');
  });

  it('a response by branch and CSeq method; one out of the blue belongs to nobody', () => {
    ask('OPTIONS');
    expect(table.receiveResponse(response(200, 'OPTIONS', { branch: 'z9hG4bK-2' }))).toBe(false);
    expect(table.receiveResponse(response(200, 'INVITE'))).toBe(false);
    expect(table.receiveResponse(response(200, 'OPTIONS'))).toBe(true);
  });

  it('client and server transactions with the same branch are two', () => {
    ask('OPTIONS');
    expect(table.receiveRequest(request('OPTIONS'))).toBe(false);
  });
});

describe('the table', () => {
  it('is bounded: the oldest is dropped', () => {
    table = createTransactions(time.timers, () => UDP, { ...LIMITS, count: 3, bytes: 10_000 });
    const all = [1, 2, 3, 4].map((i) => serve('INVITE', UDP, { branch: `z9hG4bK-${i}` }));
    expect(all.map((tx) => tx.state)).toEqual(['terminated', 'proceeding', 'proceeding', 'proceeding']);
    expect([ended, table.count(), time.running()]).toEqual([['dropped'], 3, 3]);
  });

  it('drops one that only lingers for retransmissions before a call that still rings', () => {
    table = createTransactions(time.timers, () => UDP, { ...LIMITS, count: 3, bytes: 10_000 });
    const ringing = serve('INVITE', UDP, { branch: 'z9hG4bK-1' });
    const answered = [2, 3].map((i) => serve('INVITE', UDP, { branch: `z9hG4bK-${i}` }));
    for (const tx of answered) respond(tx, 486);
    const another = serve('INVITE', UDP, { branch: 'z9hG4bK-4' });
    const states = [ringing, ...answered, another].map((tx) => tx.state);
    expect(states).toEqual(['proceeding', 'terminated', 'completed', 'proceeding']);
  });

  it('is bounded in bytes too: those of the requests, and of what would be sent again', () => {
    table = createTransactions(time.timers, () => UDP, { ...LIMITS, count: 100, bytes: 10_000 });
    const long = (i: number) => serve('INVITE', UDP, { branch: `z9hG4bK-${i}`, body: 'x'.repeat(1_800) });
    const first = long(1);
    const second = long(2);
    expect([first.state, second.state]).toEqual(['proceeding', 'proceeding']);
    // What is sent again instead of something shorter counts as well.
    second.respond(180, Buffer.alloc(100));
    second.respond(183, Buffer.alloc(3_000));
    const third = long(3);
    expect([first.state, second.state, third.state]).toEqual(['terminated', 'terminated', 'proceeding']);
    expect(ended).toEqual(['dropped', 'dropped']);
    third.end('done');
    // Nothing of those that have ended is counted any more.
    const others = Array.from({ length: 20 }, (_, i) => serve('OPTIONS', UDP, { branch: `z9hG4bK-${10 + i}` }));
    expect(others.every(({ state }) => state === 'trying')).toBe(true);
  });

  it('counts the branch, which is as long as who asks wants, also of those that only linger', () => {
    table = createTransactions(time.timers, () => UDP, { ...LIMITS, count: 100, bytes: 10_000 });
    const first = serve('INVITE', UDP, { branch: `z9hG4bK-1${'x'.repeat(4_000)}` });
    respond(first, 200);
    expect(first.state).toBe('accepted');
    const second = serve('INVITE', UDP, { branch: `z9hG4bK-2${'x'.repeat(4_000)}` });
    expect([first.state, second.state]).toEqual(['terminated', 'proceeding']);
  });

  it('holds a thousand INVITEs that are never acknowledged, and is empty after timer H', async () => {
    table = createTransactions(time.timers, () => UDP, { ...LIMITS, count: 100, bytes: 2 ** 20 });
    for (let i = 0; i < 1_000; i++) {
      respond(serve('INVITE', UDP, { branch: `z9hG4bK-${i}` }), 480);
      expect(table.count()).toBeLessThanOrEqual(100);
    }
    await time.advance(32_000);
    expect([table.count(), time.running()]).toEqual([0, 0]);
  });

  it('ends what ran on a connection that has ended (17.1.4)', () => {
    const other = flow(true, 'flow 2');
    ask('INVITE', TCP);
    serve('INVITE', TCP);
    const left = serve('OPTIONS', other, { branch: 'z9hG4bK-2' });
    table.flowClosed(TCP);
    expect([ended, table.count(), left.state]).toEqual([['transport', 'transport'], 1, 'trying']);
  });

  it('a response on an ended transaction is nothing', () => {
    const tx = serve('OPTIONS', TCP);
    respond(tx, 200, 200);
    expect([sent, table.count()]).toEqual([['0 200'], 0]);
  });

  it('leaves no timer behind at its end', () => {
    ask('INVITE');
    serve('INVITE');
    serve('OPTIONS');
    table.close();
    expect([table.count(), time.running(), ended.length]).toEqual([0, 0, 3]);
  });
});
