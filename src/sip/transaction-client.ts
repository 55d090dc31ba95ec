/** The client transaction of all methods but INVITE (RFC 3261 17.1.2). */
import type { SipResponse } from './message.ts';
import { T1, T2, T4 } from './transaction.ts';
import type { States, Transaction } from './transaction.ts';

export const CLIENT: States = {
  trying(tx, event) {
    if (event.type === 'start') {
      tx.resend();
      tx.startTimer('F', 64 * T1);
      if (!tx.flow.isReliable) tx.startTimer('E', tx.pauseMs);
    } else if (event.type === 'timer' && event.name === 'E') {
      tx.pauseMs = Math.min(2 * tx.pauseMs, T2);
      resendAndWait(tx);
    } else if (event.type === 'timer') tx.end('timeout');
    else if (event.type === 'response') take(tx, event.response);
  },

  proceeding(tx, event) {
    if (event.type === 'timer' && event.name === 'E') {
      tx.pauseMs = T2;
      resendAndWait(tx);
    } else if (event.type === 'timer') tx.end('timeout');
    else if (event.type === 'response') take(tx, event.response);
  },

  /** Absorbs retransmissions of the response. */
  completed(tx, event) {
    if (event.type === 'timer') tx.end('done');
  },
};

function resendAndWait(tx: Transaction): void {
  tx.resend();
  tx.startTimer('E', tx.pauseMs);
}

function take(tx: Transaction, response: SipResponse): void {
  const { user } = tx;
  if (response.status < 200) tx.move('proceeding');
  else {
    tx.enter('completed');
    tx.release();
    tx.sendsNoMore();
  }
  user.onResponse?.(response);
  if (tx.state === 'completed') tx.lingerFor('K', T4);
}
