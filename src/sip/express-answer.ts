/**
 * The express lane of answers to requests that we sent, our own and those of others: little of them is looked at, and what
 * goes on to somebody else is copied. Whatever is out of the ordinary is left to parseMessage().
 */
import { IN_RESPONSE } from './dropped-headers.ts';
import { ANSWER, BRANCH_AT, BRANCH_END, FIRST_LINE_END, MESSAGE, METHOD } from './express-layout.ts';
import { putMessage, reader } from './express-reader.ts';
import { relayResponse } from './forward-message.ts';
import { parseMessage, SipResponse } from './message.ts';
import type { ReadResponse } from './message.ts';
import type { Transactions } from './transactions.ts';

/** As the reader numbers them. */
const METHODS = ['', 'NOTIFY', 'MESSAGE', 'INVITE', 'BYE'] as const;
const SPACE = 0x20;
const DELETE = 0x7f;

const { bytes, places } = reader;

/** Gives the answer to the transaction that waits for it. False: nothing has been done, it is left to the others. */
export function createAnswerLane(transactions: Transactions): (message: Buffer) => boolean {
  const answer = new ReadAnswer();
  return (message) => {
    const status = putMessage(message) ? reader.readAnswer(message.length) : 0;
    if (status === 0) return false;
    const method = METHODS[places[METHOD] ?? 0] ?? '';
    answer.set(status, message.length);
    return transactions.receiveRead(method, bytes.toString('latin1', places[BRANCH_AT], places[BRANCH_END]), answer);
  };
}

/** The answer that was read last, made once. */
class ReadAnswer implements ReadResponse {
  readonly kind = 'read';
  status = 0;
  #end = 0;

  set(status: number, length: number): void {
    this.status = status;
    this.#end = MESSAGE + length;
  }

  get whole(): SipResponse {
    const response = parseMessage(bytes.subarray(MESSAGE, this.#end));
    if (!(response instanceof SipResponse)) throw new Error('an answer was taken that is none');
    return response;
  }

  relayed(vias: string): Buffer {
    const lineEnd = places[FIRST_LINE_END] ?? 0;
    const last = bytes[lineEnd - 1] ?? 0;
    // What may have to be trimmed.
    if (last <= SPACE || last >= DELETE) return relayResponse(vias, this.whole);
    const restEnd = reader.writeKept(ANSWER, this.#end, IN_RESPONSE);
    const viasAt = lineEnd + 2 - MESSAGE;
    const restAt = viasAt + vias.length;
    const relayed = Buffer.allocUnsafe(restAt + restEnd - ANSWER);
    bytes.copy(relayed, 0, MESSAGE, lineEnd + 2);
    relayed.write(vias, viasAt, 'latin1');
    bytes.copy(relayed, restAt, ANSWER, restEnd);
    return relayed;
  }
}
