/** The server transaction of all methods but INVITE (RFC 3261 17.2.2). */
import { T1 } from './transaction.ts';
import type { States, Transaction, TransactionEvent } from './transaction.ts';

export const SERVER: States = {
  /** Retransmissions are absorbed: there is nothing to answer them with yet. */
  trying(tx, event) {
    if (event.type === 'respond') respond(tx, event);
  },

  proceeding(tx, event) {
    if (event.type === 'request') tx.resend();
    else if (event.type === 'respond') respond(tx, event);
  },

  completed(tx, event) {
    if (event.type === 'request') tx.resend();
    else if (event.type === 'timer') tx.end('done');
  },
};

function respond(tx: Transaction, { status, bytes }: TransactionEvent & { type: 'respond' }): void {
  tx.send(bytes);
  if (status < 200) tx.enter('proceeding');
  else {
    tx.enter('completed');
    tx.release();
    tx.lingerFor('J', 64 * T1);
  }
}
