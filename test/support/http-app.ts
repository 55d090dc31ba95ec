/** The HTTP edge over the use cases of one node in memory, asked without a socket. */
import { randomBytes } from 'node:crypto';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { Admin } from '../../src/admin/admin.ts';
import type { ConfigDocument } from '../../src/config-xml/document.ts';
import { configDocument } from '../../src/config-xml/document.ts';
import type { HttpDeps, HttpSettings, NodeNumbers, Readiness } from '../../src/http/deps.ts';
import { createHttp } from '../../src/http/server.ts';
import { createNonces } from '../../src/login/nonces.ts';
import type { UseCases } from '../../src/login/use-cases.ts';
import type { LimitOptions } from './edge-doubles.ts';
import { limits, readableLog } from './edge-doubles.ts';
import { flows } from './flows.ts';
import { useCases } from './use-cases.ts';

export const ADMIN_TOKEN = 'the-admin-token';
export const CLUSTER_KEY = 'the-cluster-key';
export const AS_ADMIN = { authorization: `Bearer ${ADMIN_TOKEN}` };

export interface HttpAppOptions extends LimitOptions {
  readonly name?: string;
  readonly settings?: Partial<HttpSettings>;
  /** No node of a cluster. */
  readonly isAlone?: boolean;
}

/** Closed by the test. Timers fall due at once; `waitedMs` holds how long they were to wait. */
export async function httpApp(options: HttpAppOptions = {}) {
  const node = flows(options.name === undefined ? {} : { name: options.name });
  const waitedMs: number[] = [];
  const stopped: boolean[] = [];
  const state = {
    readiness: [] as Readiness[],
    numbers: options.isAlone === true ? { ...NUMBERS, bus: null } : NUMBERS,
    rendered: 0,
  };
  const { log, logged } = readableLog();
  const { requests, failedLogins } = limits(options);

  /** What is answered from memory, by uid. */
  const documents = new Map<string, ConfigDocument>();
  const deps: HttpDeps = {
    settings: {
      realm: 'vserver',
      heartbeatS: 30,
      expiresS: 90,
      adminToken: ADMIN_TOKEN,
      clusterKey: CLUSTER_KEY,
      proxies: [],
      insecure: false,
      tls: null,
      ...options.settings,
    },
    uses: { ...useCases(node), ...configCases(node, documents, () => state.rendered++) },
    admin: new Admin({ ...node, ...node.deps, name: 'here', refreshVariables: () => Promise.resolve() }),
    directory: node.directory,
    nonces: createNonces(randomBytes(32)),
    requests,
    failures: failedLogins,
    timers: {
      after: (delayMs, run) => {
        waitedMs.push(delayMs);
        const handle = setImmediate(run);
        return {
          cancel: () => {
            clearImmediate(handle);
          },
        };
      },
      every: (periodMs, run) => node.time.timers.every(periodMs, run),
      now: () => node.time.timers.now(),
    },
    random: node.deps.random,
    log,
    ready: () => state.readiness,
    numbers: () => state.numbers,
    stop: (logout) => void stopped.push(logout),
  };
  const http = await createHttp(deps);
  return {
    ...node,
    http,
    logged,
    waitedMs,
    stopped,
    state,
    documents,
    deps,
    ask: (request: InjectOptions): Promise<LightMyRequestResponse> => http.app.inject(request),
    /** Logs a user in and answers the headers of his session. */
    async loggedIn(uid: string, body: object = {}): Promise<{ authorization: string }> {
      const payload = { uid, password: 'secret', ...body };
      const reply = await http.app.inject({ method: 'POST', url: '/v1/login', payload });
      if (reply.statusCode !== 200) throw new Error(`login of ${uid}: ${reply.body}`);
      return { authorization: `Bearer ${reply.json<{ token: string }>().token}` };
    },
  };
}

export type HttpApp = Awaited<ReturnType<typeof httpApp>>;

export const NUMBERS: NodeNumbers = {
  sessions: 3,
  users: 2,
  logins: { welcome: 5, denied: 1 },
  heartbeats: 7,
  locates: { user: 4 },
  directoryUp: true,
  outboxWaiting: 0,
  messages: { delivered: 12, stored: 3, refused: 1 },
  subscriptions: 0,
  natRebindings: 1,
  ends: { logout: 8, silence: 2 },
  datagrams: { received: 9, 'wrong-mac': 1 },
  rejectedFragments: 0,
  drift: { dropped: 0, rewritten: 0, cleared: 0 },
  bus: { isUp: true, messages: { sent: 0 } },
};

function configCases(
  { directory }: ReturnType<typeof flows>,
  documents: ReadonlyMap<string, ConfigDocument>,
  onRender: () => void,
): Pick<UseCases, 'config' | 'configHere'> {
  return {
    configHere: (uid) => documents.get(uid),
    async config(uid, withPasswords) {
      const entry = await directory.find(uid);
      if (entry === null) return null;
      onRender();
      const account = entry.user.voip[0];
      const password = withPasswords ? (account?.password ?? '') : '';
      const part = (text: string) => ({ text, rejected: null });
      return configDocument(
        part('  <SYSTEM/>\n'),
        part(`  <PRIVATE ID="${uid}" PWD="${password}">${entry.user.xmlext}</PRIVATE>\n`),
      );
    },
  };
}
