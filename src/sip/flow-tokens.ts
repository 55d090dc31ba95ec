/**
 * Flow tokens (RFC 5626 5.2): the user part of a Record-Route of ours names the flow of one side of a call, so that
 * requests in the dialog find the phone behind its NAT or at the end of its connection. The MAC covers the Call-ID: a
 * token is good for its call only, and nobody makes one up.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ADDRESS_BYTES, readAddress, writeAddress } from '../base/address.ts';
import { macOf } from '../login/proof.ts';
import type { Flow } from './flow.ts';

export interface FlowTokens {
  make(flow: Flow, callId: string): string;
  /** `forged`: not of our making, or of another call; `closed`: its connection is no more. */
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
 * `clusterKey`: tokens of UDP outlive a restart of the node. `start`: unlike for each start, because the numbers of
 * connections begin anew.
 */
export function createFlowTokens(clusterKey: string, start: string, flows: () => WaysOut): FlowTokens {
  // The prefix keeps tokens apart from all else that is made with the cluster key.
  const key = createHmac('sha256', clusterKey).update('sip flow').digest();
  const macFor = (signed: Buffer, callId: string): string => {
    const more = signed[0] === CONNECTION ? `\n${start}\n${callId}` : `\n${callId}`;
    return macOf(key, Buffer.from(signed.toString('latin1') + more, 'latin1')).slice(0, MAC_CHARACTERS);
  };

  /** Is no Call-ID. */
  const path = '\npath';

  const tokens: Pick<FlowTokens, 'make' | 'read'> = {
    make(flow, callId) {
      const signed = signedOf(flow);
      return signed.toString('base64url') + macFor(signed, callId);
    },
    read(token, callId) {
      const signedEnd = token.length - MAC_CHARACTERS;
      if (signedEnd <= 0 || token.length > TOKEN_CHARACTERS_MAX) return 'forged';
      const signed = Buffer.from(token.slice(0, signedEnd), 'base64url');
      const mac = Buffer.from(token.slice(signedEnd), 'latin1');
      if (!timingSafeEqual(mac, Buffer.from(macFor(signed, callId), 'latin1'))) return 'forged';
      if (signed[0] === CONNECTION) return flows().findConnection(signed.toString('utf8', 1)) ?? 'closed';
      const remote = readAddress(signed, 1);
      return remote === null ? 'forged' : flows().flowTo(remote);
    },
  };
  return { ...tokens, makePath: (flow) => tokens.make(flow, path), readPath: (token) => tokens.read(token, path) };
}

function signedOf(flow: Flow): Buffer {
  if (flow.isReliable) return Buffer.concat([Buffer.of(CONNECTION), Buffer.from(flow.id)]);
  const signed = Buffer.alloc(1 + ADDRESS_BYTES);
  signed[0] = DATAGRAMS;
  writeAddress(signed, 1, flow.remote);
  return signed;
}
