/** The client transaction of all methods but INVITE (RFC 3261 17.1.2). */
import { T1, T2 } from './transaction.ts';
import type { States, Transaction, TransactionEvent } from './transaction.ts';

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
    else if (event.type === 'response') take(tx, event);
  },

  proceeding(tx, event) {
    if (event.type === 'timer' && event.name === 'E') {
      tx.pauseMs = T2;
      resendAndWait(tx);
    } else if (event.type === 'timer') tx.end('timeout');
    else if (event.type === 'response') take(tx, event);
  },
};

function resendAndWait(tx: Transaction): void {
  tx.resend();
  tx.startTimer('E', tx.pauseMs);
}

/**
 * After a final response it is over. What timer K is for (17.1.2.2), to absorb retransmissions of the response, needs no
 * transaction: a response that belongs to none is dropped.
 */
function take(tx: Transaction, { response }: TransactionEvent & { type: 'response' }): void {
  const { user } = tx;
  const { status } = response;
  if (status < 200) tx.move('proceeding');
  else {
    tx.release();
    tx.end('done');
  }
  if (user.onStatus !== undefined) user.onStatus(status);
  else user.onResponse?.(response);
}
