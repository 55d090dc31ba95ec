/** The server transaction of all methods but INVITE (RFC 3261 17.2.2). */
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
};

/** With its final response it is over: what timer J is for (17.2.2), to answer retransmissions, its table does. */
function respond(tx: Transaction, { status, bytes }: TransactionEvent & { type: 'respond' }): void {
  if (status >= 200) tx.finish(bytes);
  else {
    tx.send(bytes);
    tx.enter('proceeding');
  }
}
