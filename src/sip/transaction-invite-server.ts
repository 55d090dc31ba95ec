/** The INVITE server transaction (RFC 3261 17.2.1, RFC 6026 7.1). */
import { makeResponse } from './response.ts';
import { T1, T2, T4 } from './transaction.ts';
import type { States, Transaction } from './transaction.ts';

/** 17.2.1: the server transaction itself answers 100 where its user takes longer. */
const TRYING_AFTER_MS = 200;

export const INVITE_SERVER: States = {
  proceeding(tx, event) {
    if (event.type === 'start') tx.startTimer('100', TRYING_AFTER_MS);
    else if (event.type === 'timer' && event.name === '100') sendTrying(tx);
    else if (event.type === 'request') tx.resend();
    else if (event.type === 'respond') {
      tx.send(event.bytes);
      if (event.status < 200) {
        tx.enter('proceeding');
        return;
      }
      tx.release();
      if (event.status < 300) {
        tx.enter('accepted');
        tx.sendsNoMore();
        tx.startTimer('L', 64 * T1);
      } else {
        tx.enter('completed');
        tx.startTimer('H', 64 * T1);
        if (!tx.flow.isReliable) tx.startTimer('G', tx.pauseMs);
      }
    }
  },

  /** Retransmissions of the INVITE are absorbed; the 2xx is sent again by its user only (13.3.1.4). */
  accepted(tx, event) {
    if (event.type === 'respond' && event.status >= 200 && event.status < 300) tx.send(event.bytes);
    else if (event.type === 'timer') tx.end('done');
  },

  completed(tx, event) {
    if (event.type === 'request') tx.resend();
    else if (event.type === 'ack') {
      tx.enter('confirmed');
      tx.lingerFor('I', T4);
    } else if (event.type === 'timer' && event.name === 'G') {
      tx.resend();
      tx.pauseMs = Math.min(2 * tx.pauseMs, T2);
      tx.startTimer('G', tx.pauseMs);
    } else if (event.type === 'timer') tx.end('timeout');
  },

  /** Absorbs further ACKs. */
  confirmed(tx, event) {
    if (event.type === 'timer') tx.end('done');
  },
};

function sendTrying(tx: Transaction): void {
  if (tx.request !== null) tx.send(makeResponse(tx.request, 100, 'Trying'));
}
