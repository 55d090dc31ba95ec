/**
 * The express lane of calls: the INVITE of a caller who proves who he is, to a user of ours, and the ACK and BYE of a call
 * that was sent on. They are read on their bytes; what is done about them is done by calls.ts and in-dialog.ts.
 */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, standsAt } from '../base/bytes.ts';
import { sameAddress } from '../base/address.ts';
import { run } from './caller.ts';
import { callUser } from './calls.ts';
import type { SipContext } from './context.ts';
import { ownUri, ReadInbound } from './context.ts';
import { ForwardedRequest, hasOrdinaryCredentials } from './express-forward.ts';
import type { ExpressHead, ExpressLane, IsOurs } from './express-head.ts';
import { readKey, serverKeyOf } from './express-key.ts';
import { LINE_BYTES, LINES, LINES_COUNT } from './express-layout.ts';
import { createExpressProof } from './express-proof.ts';
import { mayRun } from './express-redirect.ts';
import { reader } from './express-reader.ts';
import type { Flow } from './flow.ts';
import { AUTHORIZATION, CALL_ID, PROXY_AUTHORIZATION, PROXY_REQUIRE, ROUTE, TICKET } from './header-names.ts';
import { pass } from './in-dialog.ts';
import { RequestKey } from './request-key.ts';

const INVITE_KEY = serverKeyOf('INVITE');
const BYE_KEY = serverKeyOf('BYE');
const OPEN = bytesOf('<sip:');
const PLUS = 0x2b;
const COLON = 0x3a;
const SPACE = 0x20;
const AT_SIGN = 0x40;
const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;

const { bytes, view, places } = reader;

function text(at: number, end: number): string {
  return bytes.toString('latin1', at, end);
}

export function createInviteLane(context: SipContext, isOurs: IsOurs): ExpressLane {
  const { transactions, waiting, cases } = context;
  const { users, sessions } = cases.table;
  const proof = createExpressProof(context);
  const key = new RequestKey();

  const isOrdinary = (head: ExpressHead): boolean => {
    const { uri, from, to } = head;
    return (
      to.tagAt === 0 &&
      !head.has(PROXY_REQUIRE) &&
      !head.has(ROUTE) &&
      !head.has(TICKET) &&
      hasOrdinaryCredentials(head) &&
      isOurs(head, from) &&
      uri.hostAt !== 0 &&
      uri.userAt !== 0 &&
      bytes[uri.userAt] !== PLUS &&
      isOurs(head, uri)
    );
  };

  return (head, flow, nowMs) => {
    const { uri, from } = head;
    if (flow.transport !== 'udp' || !isOrdinary(head)) return false;
    if (!readKey(head, INVITE_KEY, key) || transactions.knows(key)) return false;
    if (waiting.size > 0 && mayRun(context, head, 'INVITE')) return false;
    const header = head.has(AUTHORIZATION) ? AUTHORIZATION : PROXY_AUTHORIZATION;
    const row = proof.rowOf(head, header, flow, nowMs);
    if (row < 0) return false;
    proof.use(row, nowMs);
    const mayCallOut = users.mayCallOut(sessions.user(row));
    const caller = { uid: text(from.userAt, from.userEnd), mayCallOut, proof: 'digest' } as const;
    const name = text(uri.userAt, uri.userEnd);
    const inbound = new ReadInbound(new ForwardedRequest(head, flow, key.text), flow, nowMs, undefined);
    run(context, inbound, (state) => callUser(context, inbound, caller, name, state));
    return true;
  };
}

/** ACK and BYE with the Routes that we have put on Record-Route, from the side of the call that they name. */
export function createDialogLane(context: SipContext): ExpressLane {
  const { transactions, tokens } = context;
  const key = new RequestKey();
  let behind: Bytes | null = null;

  const flowOf = (token: string, callId: string): Flow | null => {
    const flow = tokens.read(token, callId);
    return typeof flow === 'string' ? null : flow;
  };

  return (head, flow, nowMs) => {
    const { uri, to } = head;
    if (flow.transport !== 'udp' || to.tagAt === 0 || uri.hostAt === 0 || !hasOrdinaryCredentials(head)) return false;
    // The port is known by now.
    behind ??= bytesOf(`${ownUri(context, flow, ';lr')}>`.slice(OPEN.length - 1));
    if (!readRoutes(behind)) return false;
    if (!readKey(head, head.method === 'ACK' ? INVITE_KEY : BYE_KEY, key) || transactions.knows(key)) return false;
    const callId = text(head.at(CALL_ID), head.end(CALL_ID));
    const side = flowOf(routes.first, callId);
    if (side === null || side.isReliable || !sameAddress(side.remote, flow.remote)) return false;
    const next = flowOf(routes.last, callId);
    if (next === null) return false;
    const request = new ForwardedRequest(head, flow, key.text);
    const inbound = new ReadInbound(request, flow, nowMs, undefined);
    pass(context, inbound, { uri: text(head.uriAt, head.uriEnd), rest: [] }, next);
    return true;
  };
}

/** The tokens in the first and in the last Route. */
const routes = { first: '', last: '' };

/** Reads them; false where there is a Route that is not as ownTokens() takes it, or none. `behind`: what follows a token's @. */
function readRoutes(behind: Bytes): boolean {
  const end = LINES + (places[LINES_COUNT] ?? 0) * LINE_BYTES;
  let count = 0;
  for (let line = LINES; line < end; line += LINE_BYTES) {
    if (view.getInt32(line, true) !== ROUTE) continue;
    const at = valueAt(view.getInt32(line + 4, true));
    if (!standsAt(view, at, OPEN)) return false;
    const tokenAt = at + OPEN.length;
    let tokenEnd = tokenAt;
    while (isOfToken(bytes[tokenEnd] ?? 0)) tokenEnd++;
    const lineEnd = tokenEnd + 1 + behind.length;
    if (tokenEnd === tokenAt || bytes[tokenEnd] !== AT_SIGN || !standsAt(view, tokenEnd + 1, behind)) return false;
    if (bytes[lineEnd] !== CR) return false;
    routes.last = text(tokenAt, tokenEnd);
    if (count++ === 0) routes.first = routes.last;
  }
  return count > 0;
}
const CR = 0x0d;

/** Where the value of the line begins whose name stands at `at`. */
function valueAt(at: number): number {
  let i = at;
  while (bytes[i] !== COLON) i++;
  do i++;
  while (bytes[i] === SPACE);
  return i;
}

/** A letter, a digit, `-` or `_`. */
function isOfToken(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === HYPHEN || byte === UNDERSCORE;
}
