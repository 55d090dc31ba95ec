/** `POST /v1/login`. */
import type { FastifyInstance } from 'fastify';
import { formatAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { Firewall, ServerRecord, Status } from '../base/model.ts';
import type { Denial, LoginRequest, Welcome } from '../login/login.ts';
import { httpToken } from '../login/proof.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import { issueTicket, sentOn } from '../redirect/tickets.ts';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';
import { PROBLEMS } from './problem.ts';
import { readAddress, readDevice } from './read.ts';
import {
  ADDRESS,
  closed,
  DEVICE,
  FIREWALL,
  NOTE,
  PASSWORD,
  STATUS,
  STRING,
  text,
  TICKET,
  UID_TEXT,
} from './schemas.ts';

interface LoginBody {
  uid: string;
  password: string;
  instance?: string;
  local?: string;
  firewall?: Firewall;
  status?: Status;
  device?: string;
  note?: string;
}

const BODY = closed(
  {
    uid: UID_TEXT,
    password: PASSWORD,
    instance: text(64),
    local: ADDRESS,
    firewall: FIREWALL,
    status: STATUS,
    device: DEVICE,
    note: NOTE,
  },
  ['uid', 'password'],
);

const WELCOME = closed(
  {
    cookie: STRING,
    key: { type: 'string', description: 'K, for signing datagrams' },
    token: { type: 'string', description: 'for Authorization: Bearer' },
    heartbeat: { type: 'integer', description: 'seconds between heartbeats' },
    expires: { type: 'integer', description: 'seconds of silence after which the session ends' },
    wan: STRING,
    network: STRING,
    server: STRING,
    servers: { type: 'array', items: STRING },
  },
  [],
);

const REDIRECT = closed({ redirect: STRING, server: STRING }, []);

export function loginRoutes(app: FastifyInstance, deps: HttpDeps, gates: Gates): void {
  const { uses } = deps;
  app.post<{ Body: LoginBody; Querystring: { ticket?: string } }>(
    '/v1/login',
    {
      schema: {
        summary: 'Log in',
        tags: ['client'],
        body: BODY,
        querystring: closed({ ticket: TICKET }, []),
        response: { 200: WELCOME, 307: REDIRECT, ...PROBLEMS },
      },
      // Before the body is read: a password on an open wire, or one guess too many, needs no look at it.
      onRequest: (request, _reply, done) => {
        gates.admitAttempt(request);
        done();
      },
    },
    async (request, reply) => {
      const arrivedMs = uses.clock.now();
      const { uid } = request.body;
      const here = { server: uses.servers.me.name, uid };
      const sent = sentOn(deps.settings.clusterKey, request.query.ticket ?? null, here, arrivedMs);
      const outcome = await uses.loginInTurn(loginRequest(request.body, gates.host(request), sent));
      if (outcome.kind === 'denied') {
        const permitted = outcome.reason !== 'disabled' && outcome.reason !== 'expired';
        await gates.failed(request, arrivedMs, uid, outcome.reason);
        throw permitted ? new VserverError('LOGIN_FAILED') : new VserverError('REFUSED', refusal(outcome.reason));
      }
      reply.header('cache-control', 'no-store');
      if (outcome.kind === 'welcome') return welcome(deps, outcome);
      reply.code(307).header('location', loginLocation(deps, uid, outcome.to, sent.hops + 1));
      return { redirect: formatAddress(outcome.to.udp), server: outcome.to.name };
    },
  );
}

function refusal(reason: Denial): string {
  return reason === 'expired' ? 'the account has expired' : 'the account is disabled';
}

function loginRequest(body: LoginBody, host: string, sent: ReturnType<typeof sentOn>): LoginRequest {
  return {
    uid: body.uid,
    credential: { kind: 'password', password: body.password },
    source: { host, port: 0 },
    local: body.local === undefined ? null : readAddress('local', body.local),
    // Of a client that does not say nothing good may be assumed.
    firewall: body.firewall ?? 'strong',
    status: body.status ?? 'online',
    instance: body.instance ?? '',
    note: body.note ?? '',
    device: readDevice(body.device ?? ''),
    contact: '',
    registration: '',
    ...sent,
  };
}

/** Where to log in instead, with a ticket that says who sent the client. */
export function loginLocation({ settings, uses }: HttpDeps, uid: string, to: ServerRecord, hops: number): string {
  const ticket = issueTicket(
    settings.clusterKey,
    {
      ...{ purpose: 'login', asker: uid, target: uid, hops: Math.min(hops, HOPS_MAX) },
      ...{ server: to.name, issuer: uses.servers.me.name },
    },
    uses.clock.now(),
  );
  return `${to.http}/v1/login?ticket=${ticket}`;
}

function welcome({ uses, settings }: HttpDeps, { row, cookie, key }: Welcome): object {
  const { wan, network } = uses.table.device(row);
  return {
    cookie,
    key,
    token: httpToken(cookie, key),
    heartbeat: settings.heartbeatS,
    expires: settings.expiresS,
    wan: formatAddress(wan),
    network,
    server: uses.servers.me.name,
    servers: uses.servers.alternatives().map(formatAddress),
  };
}
