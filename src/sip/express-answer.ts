/**
 * The express lane of answers to requests of our own: of them nothing is of interest but the status. Whatever is out of
 * the ordinary, and answers to what was sent on for others, are left to parseMessage().
 */
import { BRANCH_AT, BRANCH_END, METHOD_LENGTH } from './express-layout.ts';
import { putMessage, reader } from './express-reader.ts';
import type { Transactions } from './transactions.ts';

/** By the length of the name. */
const METHODS = new Map(['NOTIFY', 'MESSAGE'].map((name) => [name.length, name]));

const { bytes, places } = reader;

/** Gives the answer to the transaction that waits for it. False: nothing has been done, it is left to the others. */
export function createAnswerLane(transactions: Transactions): (message: Buffer) => boolean {
  return (message) => {
    const status = putMessage(message) ? reader.readAnswer(message.length) : 0;
    if (status === 0) return false;
    const method = METHODS.get(places[METHOD_LENGTH] ?? 0) ?? '';
    return transactions.receiveStatus(method, bytes.toString('latin1', places[BRANCH_AT], places[BRANCH_END]), status);
  };
}
