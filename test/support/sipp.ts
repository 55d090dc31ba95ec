/** SIPp user agents, each of which runs a scenario of the test (sipp-steps.ts). */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Address } from '../../src/base/model.ts';
import { freePort, runTool, temporaryHome } from './programs.ts';
import { scenarioOf } from './sipp-steps.ts';
import type { Step } from './sipp-steps.ts';

const HOST = '127.0.0.1';
/** For the whole scenario. */
const TIMEOUT_S = 90;

/** Names that SIPp has for them; `udp-anywhere`: from a port of its own, from which it can go to others than the node. */
const SOCKETS = { udp: 'u1', tcp: 't1', 'udp-anywhere': 'un' } as const;

export interface Agent {
  readonly uid: string;
  readonly password?: string;
  readonly transport?: keyof typeof SOCKETS;
  /** Of its Contact; a free one where it is left out. */
  readonly port?: number;
  /** What of `sip:…` its credentials are for; the node itself where it is left out. SIPp knows one for all requests. */
  readonly credentialsFor?: string;
}

/** Runs the agent to the end of its scenario; resolves with what went wrong, '' where all came as it expects it. */
export async function sipp(server: Address, agent: Agent, ...scenario: readonly Step[]): Promise<string> {
  const { uid, password = 'secret', transport = 'udp', port = await freePort() } = agent;
  const { credentialsFor = `${server.host}:${server.port}` } = agent;
  const home = temporaryHome();
  const file = join(home, 'scenario.xml');
  writeFileSync(file, scenarioOf(uid, scenario));
  const options = {
    ...{ '-sf': file, '-i': HOST, '-p': port, '-t': SOCKETS[transport], '-m': 1, '-cid_str': 'call' },
    ...{ '-au': uid, '-ap': password, '-auth_uri': credentialsFor, '-timeout': `${TIMEOUT_S}s`, '-max_socket': 100 },
  };
  const flags = ['-nostdin', '-timeout_error', '-trace_err'];
  const args = [`${server.host}:${server.port}`, ...flags, ...Object.entries(options).flat().map(String)];
  const { status, output } = await runTool('sipp', args, home);
  if (status === 0) return '';
  const logs = existsSync(home) ? readdirSync(home).filter((name) => name.endsWith('_errors.log')) : [];
  const errors = logs.map((name) => readFileSync(join(home, name), 'utf8')).join('\n');
  return `${uid}, ended with ${status}: ${errors === '' ? output : errors}`;
}
