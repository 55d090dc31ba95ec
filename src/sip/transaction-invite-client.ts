/** The INVITE client transaction (RFC 3261 17.1.1, RFC 6026 7.2). */
import type { AnyResponse } from './message.ts';
import { parseMessage, SipRequest } from './message.ts';
import { T1 } from './transaction.ts';
import type { States, Transaction } from './transaction.ts';
import { formatVia } from './via.ts';

const TIMER_D_MS = 32_000;

export const INVITE_CLIENT: States = {
  calling(tx, event) {
    if (event.type === 'start') {
      tx.resend();
      tx.startTimer('B', 64 * T1);
      if (!tx.flow.isReliable) tx.startTimer('A', tx.pauseMs);
    } else if (event.type === 'timer' && event.name === 'A') {
      tx.resend();
      // Without T2, unlike other methods (17.1.1.2).
      tx.pauseMs *= 2;
      tx.startTimer('A', tx.pauseMs);
    } else if (event.type === 'timer') tx.end('timeout');
    else if (event.type === 'response') take(tx, event.response);
  },

  /** Waits without an end of its own: its user cancels. */
  proceeding(tx, event) {
    if (event.type === 'response') take(tx, event.response);
  },

  /** 2xx come from several who answered, and again until their ACK: its user sees each. */
  accepted(tx, event) {
    if (event.type === 'timer') tx.end('done');
    else if (event.type === 'response' && isSuccess(event.response)) tx.user.onResponse?.(event.response);
  },

  /** The ACK is sent again for each retransmission of the response. */
  completed(tx, event) {
    if (event.type === 'timer') tx.end('done');
    else if (event.type === 'response' && event.response.status >= 300) tx.resend();
  },
};

function take(tx: Transaction, response: AnyResponse): void {
  const { user } = tx;
  if (response.status < 200) tx.enter('proceeding');
  else if (isSuccess(response)) {
    tx.enter('accepted');
    tx.sendsNoMore();
    tx.startTimer('M', 64 * T1);
  } else {
    tx.enter('completed');
    tx.send(makeAck(tx.sent, response));
    tx.release();
  }
  user.onResponse?.(response);
  if (tx.state === 'completed') tx.lingerFor('D', TIMER_D_MS);
}

function isSuccess({ status }: AnyResponse): boolean {
  return status >= 200 && status < 300;
}

/** The ACK to 300–699: of this transaction, with the To of the response (RFC 3261 17.1.1.3). */
function makeAck(sent: Buffer | null, response: AnyResponse): Buffer {
  const invite = sent === null ? null : parseMessage(sent);
  if (!(invite instanceof SipRequest)) throw new Error('malformed INVITE of our own');
  const routes = invite.headers('Route').map((route) => `Route: ${route}\r\n`);
  return Buffer.from(
    `ACK ${invite.requestUri} SIP/2.0\r\n` +
      `Via: ${formatVia(invite.topVia)}\r\n` +
      routes.join('') +
      'Max-Forwards: 70\r\n' +
      `From: ${invite.header('From') ?? ''}\r\n` +
      `To: ${response.whole.header('To') ?? ''}\r\n` +
      `Call-ID: ${invite.callId}\r\n` +
      `CSeq: ${invite.cseq.number} ACK\r\n` +
      'Content-Length: 0\r\n\r\n',
  );
}
