/** Users of a node with SIP.js over WebSocket, or with our own softphone. */
import { randomBytes } from 'node:crypto';
import { Registerer } from 'sip.js/lib/api/registerer.js';
import type { UserAgentOptions } from 'sip.js/lib/api/user-agent-options.js';
import { UserAgent } from 'sip.js/lib/api/user-agent.js';
import type { IncomingResponse } from 'sip.js/lib/core/messages/incoming-response.js';
import type { URI } from 'sip.js/lib/grammar/uri.js';
import type { Address } from '../../src/base/model.ts';
import { systemDatagrams } from '../../src/base/system-dgram.ts';
import { systemTimers } from '../../src/base/system.ts';
import { softphone } from '../../src/cli/client/softphone.ts';
import type { Softphone, SoftphoneOptions } from '../../src/cli/client/softphone.ts';
import { silentLog } from '../support/silent-log.ts';
import { PASSWORD } from './support-node.ts';

/** A node, in this process or another one. */
export interface Where {
  readonly udp: Address;
  readonly http: string;
}

export function uriOf(node: Where, uid: string): URI {
  const uri = UserAgent.makeURI(`sip:${uid}@${node.udp.host}`);
  if (uri === undefined) throw new Error(`no URI for ${uid}`);
  return uri;
}

/** Over WebSocket where `more` names no other transport; it is not registered. Needs a global WebSocket. */
export async function sipJsAgent(node: Where, uid: string, more: UserAgentOptions = {}): Promise<UserAgent> {
  const agent = new UserAgent({
    transportOptions: { server: `${node.http.replace('http', 'ws')}/sip` },
    ...{ uri: uriOf(node, uid), authorizationUsername: uid, authorizationPassword: PASSWORD },
    logBuiltinEnabled: false,
    ...more,
  });
  await agent.start();
  return agent;
}

export interface SipJsPhone {
  readonly agent: UserAgent;
  /** Unregisters first. */
  readonly quit: () => Promise<void>;
}

/** The same, registered for a minute. */
export async function sipJsPhone(node: Where, uid: string, more: UserAgentOptions = {}): Promise<SipJsPhone> {
  const agent = await sipJsAgent(node, uid, more);
  const registerer = new Registerer(agent, { expires: 60 });
  await new Promise<void>((resolve, reject) => {
    const onAccept = (): void => {
      resolve();
    };
    const onReject = ({ message }: IncomingResponse): void => {
      reject(new Error(`REGISTER was answered ${message.statusCode ?? 0}`));
    };
    registerer.register({ requestDelegate: { onAccept, onReject } }).catch(reject);
  });
  return {
    agent,
    quit: async () => {
      await registerer.unregister();
      await agent.stop();
    },
  };
}

export function nativePhone(
  node: Where,
  uid: string,
  onEvent: SoftphoneOptions['onEvent'] = () => undefined,
): Promise<Softphone> {
  return softphone({
    ...{ uid, password: PASSWORD, instance: 'desk', server: node.udp, alternate: node.udp, onEvent },
    ...{ ownHosts: ['127.0.0.1'], bind: { host: '127.0.0.1', port: 0 } },
    ...{ datagrams: systemDatagrams(silentLog), timers: systemTimers, random: { bytes: randomBytes } },
  });
}
