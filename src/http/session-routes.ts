/** Heartbeat, status, logout and the server list, for those who are logged in. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { formatAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { Firewall, ServerRecord, Status } from '../base/model.ts';
import type { DeviceUpdate } from '../heartbeat/online.ts';
import { releaseOf } from '../redirect/server-record.ts';
import { checkTicket } from '../redirect/tickets.ts';
import type { HttpDeps } from './deps.ts';
import { bearer, type Gates } from './gates.ts';
import { loginLocation } from './login-routes.ts';
import { PROBLEMS } from './problem.ts';
import { readAddress, readDevice } from './read.ts';
import {
  ADDRESS,
  BY_SESSION,
  closed,
  DEVICE,
  DONE,
  FIREWALL,
  INTEGER,
  NOTE,
  STATUS,
  STRING,
  TICKET,
} from './schemas.ts';

interface HeartbeatBody {
  local?: string;
  firewall?: Firewall;
  status?: Status;
  device?: string;
  note?: string;
}

const HEARTBEAT = {
  ...closed({ local: ADDRESS, firewall: FIREWALL, status: STATUS, device: DEVICE, note: NOTE }, []),
  type: ['object', 'null'],
};
const ALIVE = closed(
  {
    wan: STRING,
    heartbeat: INTEGER,
    expires: INTEGER,
    redirect: { type: 'string', description: 'this server is being drained: log in there' },
  },
  [],
);
const STATUS_BODY = closed({ status: STATUS, note: NOTE }, ['status']);

export const SERVER = closed(
  {
    name: STRING,
    udp: STRING,
    http: STRING,
    sip: { type: ['string', 'null'] },
    state: STRING,
    users: INTEGER,
    usersMax: INTEGER,
    startedAt: STRING,
    seenAt: STRING,
    version: STRING,
  },
  [],
);
export const SERVERS = closed({ servers: { type: 'array', items: SERVER } }, ['servers']);

export function serverText(server: ServerRecord): object {
  return {
    ...server,
    udp: formatAddress(server.udp),
    sip: server.sip === null ? null : formatAddress(server.sip),
    startedAt: new Date(server.startedAt).toISOString(),
    seenAt: new Date(server.seenAt).toISOString(),
    version: releaseOf(server.version),
  };
}

export function sessionRoutes(app: FastifyInstance, deps: HttpDeps, gates: Gates): void {
  const { uses, settings } = deps;
  const { table } = uses;
  // The session is looked for before the body is read, and again afterwards: it may have ended meanwhile.
  const onRequest = (request: FastifyRequest, _reply: unknown, done: () => void): void => {
    gates.session(request);
    done();
  };

  app.post<{ Body: HeartbeatBody | null | undefined }>(
    '/v1/heartbeat',
    {
      schema: {
        summary: 'Keep the session alive',
        tags: ['client'],
        security: BY_SESSION,
        body: HEARTBEAT,
        response: { 200: ALIVE, ...PROBLEMS },
      },
      onRequest,
    },
    (request, reply) => {
      const row = gates.session(request);
      uses.heard(row, updateOf(request.body ?? {}));
      const known = table.sessions.wan(row);
      const host = gates.host(request);
      if (known.port === 0 && known.host !== host) uses.moved(row, { host, port: 0 });
      return reply.send({
        wan: formatAddress(table.sessions.wan(row)),
        heartbeat: settings.heartbeatS,
        expires: settings.expiresS,
        redirect: elsewhere(deps, row),
      });
    },
  );

  app.put<{ Body: { status: Status; note?: string } }>(
    '/v1/status',
    {
      schema: {
        summary: 'Set the status',
        tags: ['client'],
        security: BY_SESSION,
        body: STATUS_BODY,
        response: { 200: closed({ status: STRING, note: STRING }, []), ...PROBLEMS },
      },
      onRequest,
    },
    (request, reply) => {
      const row = gates.session(request);
      // As over datagrams: a status without a note clears it.
      uses.heard(row, { note: '', ...request.body });
      const { status, note } = table.device(row);
      return reply.send({ status, note });
    },
  );

  app.post(
    '/v1/logout',
    {
      schema: {
        summary: 'Log out',
        tags: ['client'],
        security: BY_SESSION,
        response: { 200: DONE, ...PROBLEMS },
      },
    },
    (request, reply) => {
      uses.logout(gates.session(request));
      return reply.send({ status: 'ok' });
    },
  );
}

/** By session, or by the ticket of another server. */
export function serverRoutes(app: FastifyInstance, deps: HttpDeps, gates: Gates): void {
  const { uses } = deps;
  app.get<{ Querystring: { ticket?: string } }>(
    '/v1/servers',
    {
      schema: {
        summary: 'The server list',
        tags: ['client'],
        security: BY_SESSION,
        querystring: closed({ ticket: TICKET }, []),
        response: { 200: SERVERS, ...PROBLEMS },
      },
    },
    (request, reply) => {
      if (bearer(request) !== undefined || request.query.ticket === undefined) gates.session(request);
      else requireTicket(deps, gates, request, request.query.ticket);
      return reply.send({ servers: uses.servers.all().map(serverText) });
    },
  );
}

/** Not by 307: what comes next is a login, and not this request once more. */
function elsewhere(deps: HttpDeps, row: number): string | undefined {
  const { servers, table } = deps.uses;
  const next = servers.successor();
  return next === undefined ? undefined : loginLocation(deps, table.uidOf(row), next, 1);
}

function updateOf(body: HeartbeatBody): DeviceUpdate {
  const { local, device, ...plain } = body;
  return {
    ...plain,
    ...(local === undefined ? {} : { local: readAddress('local', local) }),
    ...(device === undefined ? {} : { device: readDevice(device) }),
  };
}

function requireTicket({ uses, settings }: HttpDeps, gates: Gates, request: FastifyRequest, ticket: string): void {
  gates.admitStranger(request);
  const expected = { purpose: 'locate', server: uses.servers.me.name, target: null } as const;
  if (checkTicket(settings.clusterKey, ticket, expected, uses.clock.now()).outcome !== 'good') {
    throw new VserverError('SESSION_UNKNOWN', 'the ticket is not good here');
  }
}
