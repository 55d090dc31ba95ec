/**
 * Flow tokens (RFC 5626 5.2): the user part of a Record-Route of ours names the flow of one side of a call, so that
 * requests in the dialog find the phone behind its NAT or at the end of its connection. The MAC covers the Call-ID: a
 * token is good for its call only, and nobody makes one up.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ADDRESS_BYTES, readAddress, writeAddress } from '../base/address.ts';
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

const MAC_BYTES = 10;
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
  const macOf = (signed: Uint8Array, callId: string): Buffer =>
    createHmac('sha256', key)
      .update(signed)
      .update(signed[0] === CONNECTION ? `\n${start}\n${callId}` : `\n${callId}`)
      .digest()
      .subarray(0, MAC_BYTES);

  /** Is no Call-ID. */
  const path = '\npath';

  const tokens: Pick<FlowTokens, 'make' | 'read'> = {
    make(flow, callId) {
      const id = flow.isReliable ? Buffer.from(flow.id) : null;
      const signed = Buffer.alloc(1 + (id?.length ?? ADDRESS_BYTES));
      signed[0] = id === null ? DATAGRAMS : CONNECTION;
      if (id === null) writeAddress(signed, 1, flow.remote);
      else signed.set(id, 1);
      return Buffer.concat([signed, macOf(signed, callId)]).toString('base64url');
    },
    read(token, callId) {
      if (token.length > TOKEN_CHARACTERS_MAX) return 'forged';
      const bytes = Buffer.from(token, 'base64url');
      if (bytes.length <= 1 + MAC_BYTES) return 'forged';
      const signed = bytes.subarray(0, bytes.length - MAC_BYTES);
      if (!timingSafeEqual(bytes.subarray(signed.length), macOf(signed, callId))) return 'forged';
      if (signed[0] === CONNECTION) return flows().findConnection(signed.toString('utf8', 1)) ?? 'closed';
      const remote = readAddress(signed, 1);
      return remote === null ? 'forged' : flows().flowTo(remote);
    },
  };
  return { ...tokens, makePath: (flow) => tokens.make(flow, path), readPath: (token) => tokens.read(token, path) };
}
