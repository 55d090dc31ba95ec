/**
 * Flow tokens (RFC 5626 5.2): the user part of a Record-Route of ours names the flow of one side of a call, so that
 * requests in the dialog find the phone behind its NAT or at the end of its connection. The MAC covers the Call-ID: a
 * token is good for its call only, and nobody makes one up.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ADDRESS_BYTES, readAddress, writeAddress } from '../base/address.ts';
import type { Clock } from '../base/ports.ts';
import { macOf } from '../login/proof.ts';
import type { Flow } from './flow.ts';

export interface FlowTokens {
  make(flow: Flow, callId: string): string;
  /** `forged`: not of our making, or of another call; `closed`: its connection is no more, or its time is up. */
  read(token: string, callId: string): Flow | 'forged' | 'closed';
  /** For the Path of a registration (RFC 3327): good for every request to the phone, as long as it is there. */
  makePath(flow: Flow): string;
  readPath(token: string): Flow | 'forged' | 'closed';
}

interface WaysOut {
  flowTo(remote: Flow['remote']): Flow;
  findConnection(id: string): Flow | undefined;
}

/** Hexadecimal digits: 80 bits. */
const MAC_CHARACTERS = 20;
const DATAGRAMS = 0;
const CONNECTION = 1;
const TOKEN_CHARACTERS_MAX = 120;

/**
 * A token of UDP, where no connection ends, is good for the rest of the period that it was made in and two more: for a day
 * at least, since a dialog never gets another one. Within a period it stays the same, as a Path should.
 */
const PERIOD_MS = 12 * 3_600_000;
const PERIODS_MAX = 2;
const PERIOD_BYTES = 4;
const ADDRESS_AT = 1 + PERIOD_BYTES;

/**
 * `clusterKey`: tokens of UDP outlive a restart of the node. `start`: unlike for each start, because the numbers of
 * connections begin anew.
 */
export function createFlowTokens(clusterKey: string, start: string, clock: Clock, flows: () => WaysOut): FlowTokens {
  // The prefix keeps tokens apart from all else that is made with the cluster key.
  const key = createHmac('sha256', clusterKey).update('sip flow').digest();
  const macFor = (signed: Buffer, callId: string): string => {
    const more = signed[0] === CONNECTION ? `\n${start}\n${callId}` : `\n${callId}`;
    return macOf(key, Buffer.from(signed.toString('latin1') + more, 'latin1')).slice(0, MAC_CHARACTERS);
  };

  const period = (): number => Math.floor(clock.now() / PERIOD_MS);
  // Of the next period: from a node whose clock is ahead.
  const isTimely = (of: number): boolean => of <= period() + 1 && period() - of <= PERIODS_MAX;

  /** Is no Call-ID. */
  const path = '\npath';

  const tokens: Pick<FlowTokens, 'make' | 'read'> = {
    make(flow, callId) {
      const signed = signedOf(flow, period());
      return signed.toString('base64url') + macFor(signed, callId);
    },
    read(token, callId) {
      const signedEnd = token.length - MAC_CHARACTERS;
      if (signedEnd <= 0 || token.length > TOKEN_CHARACTERS_MAX) return 'forged';
      const signed = Buffer.from(token.slice(0, signedEnd), 'base64url');
      const mac = Buffer.from(token.slice(signedEnd), 'latin1');
      if (!timingSafeEqual(mac, Buffer.from(macFor(signed, callId), 'latin1'))) return 'forged';
      if (signed[0] === CONNECTION) return flows().findConnection(signed.toString('utf8', 1)) ?? 'closed';
      if (signed.length !== ADDRESS_AT + ADDRESS_BYTES) return 'forged';
      const remote = readAddress(signed, ADDRESS_AT);
      if (remote === null) return 'forged';
      return isTimely(signed.readUInt32BE(1)) ? flows().flowTo(remote) : 'closed';
    },
  };
  return { ...tokens, makePath: (flow) => tokens.make(flow, path), readPath: (token) => tokens.read(token, path) };
}

function signedOf(flow: Flow, period: number): Buffer {
  if (flow.isReliable) return Buffer.concat([Buffer.of(CONNECTION), Buffer.from(flow.id)]);
  const signed = Buffer.alloc(ADDRESS_AT + ADDRESS_BYTES);
  signed[0] = DATAGRAMS;
  signed.writeUInt32BE(period, 1);
  writeAddress(signed, ADDRESS_AT, flow.remote);
  return signed;
}
