/** Administration of the node: system variables, servers, sessions, status, stop. */
import type { FastifyInstance } from 'fastify';
import { formatAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { Device, OnlineTable } from '../heartbeat/online.ts';
import { releaseOf } from '../redirect/server-record.ts';
import { ADMIN, LIMIT, LIMIT_DEFAULT } from './admin-users.ts';
import type { HttpDeps } from './deps.ts';
import { DEPENDENCIES } from './operations-routes.ts';
import { PROBLEMS } from './problem.ts';
import { formatMaybe, readUid } from './read.ts';
import { closed, DONE, STRING, UID_PARAMS } from './schemas.ts';
import { SERVERS, serverText } from './session-routes.ts';

const NAME_PARAMS = closed({ name: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$' } }, ['name']);
const VARIABLE = closed({ name: STRING, value: STRING }, []);
/** A fragment (SYSTEM_EXT) is the longest there is. */
const VALUE = { type: 'string', maxLength: 16 * 1024 } as const;

const SESSION = closed(
  {
    uid: STRING,
    instance: STRING,
    status: STRING,
    note: STRING,
    network: STRING,
    firewall: STRING,
    wan: STRING,
    local: STRING,
    device: STRING,
    sip: STRING,
    loginAt: STRING,
    seenAt: STRING,
  },
  [],
);
const MAYBE = { type: ['string', 'null'] } as const;
const SESSIONS = closed({ sessions: { type: 'array', items: SESSION }, next: MAYBE, server: MAYBE }, []);

const STATUS = closed(
  {
    name: STRING,
    version: STRING,
    state: STRING,
    startedAt: STRING,
    dependencies: DEPENDENCIES,
    numbers: { type: 'object', additionalProperties: true },
  },
  [],
);

export function adminNode(app: FastifyInstance, deps: HttpDeps): void {
  const { uses } = deps;
  variableRoutes(app, deps);

  app.get(
    '/servers',
    { schema: { ...ADMIN, summary: 'The server list', response: { 200: SERVERS, ...PROBLEMS } } },
    (_request, reply) => reply.send({ servers: uses.servers.all().map(serverText) }),
  );

  app.get<{ Querystring: { limit: string; after?: string } }>(
    '/sessions',
    {
      schema: {
        ...ADMIN,
        summary: 'Who is online here',
        querystring: closed(
          {
            limit: { ...LIMIT, default: LIMIT_DEFAULT },
            after: { type: 'string', pattern: '^[0-9]{1,10}$', description: 'next of the page before' },
          },
          [],
        ),
        response: { 200: SESSIONS, ...PROBLEMS },
      },
    },
    (request, reply) => {
      const { limit, after } = request.query;
      return reply.send(sessionPage(uses.table, Number(limit), after === undefined ? 0 : Number(after) + 1));
    },
  );

  app.get<{ Params: { uid: string } }>(
    '/sessions/:uid',
    {
      schema: {
        ...ADMIN,
        summary: 'The sessions of a user, whichever server has him',
        params: UID_PARAMS,
        response: { 200: SESSIONS, ...PROBLEMS },
      },
    },
    async (request) => {
      const uid = readUid(request.params.uid);
      const { server, devices } = await deps.admin.devices(uid);
      return { sessions: devices.map((device) => sessionText(uid, device)), next: null, server };
    },
  );

  app.get(
    '/status',
    { schema: { ...ADMIN, summary: 'The numbers of the node', response: { 200: STATUS, ...PROBLEMS } } },
    (_request, reply) => {
      const { name, version, state, startedAt } = uses.servers.own();
      return reply.send({
        name,
        version: releaseOf(version),
        state,
        startedAt: new Date(startedAt).toISOString(),
        dependencies: deps.ready(),
        numbers: deps.numbers(),
      });
    },
  );

  app.post<{ Body: { logout?: boolean } | null | undefined }>(
    '/stop',
    {
      schema: {
        ...ADMIN,
        summary: 'Stop the node; with logout everybody is logged out, else a start takes the sessions back',
        body: { ...closed({ logout: { type: 'boolean' } }, []), type: ['object', 'null'] },
        response: { 202: DONE, ...PROBLEMS },
      },
    },
    (request, reply) => {
      deps.stop(request.body?.logout ?? false);
      return reply.code(202).send({ status: 'stopping' });
    },
  );
}

function variableRoutes(app: FastifyInstance, { admin }: HttpDeps): void {
  app.get<{ Params: { name: string } }>(
    '/variables/:name',
    {
      schema: { ...ADMIN, summary: 'A system variable', params: NAME_PARAMS, response: { 200: VARIABLE, ...PROBLEMS } },
    },
    async (request) => {
      const { name } = request.params;
      const value = await admin.variable(name);
      if (value === null) throw new VserverError('NOT_FOUND', 'no such variable');
      return { name, value };
    },
  );

  app.put<{ Params: { name: string }; Body: { value: string } }>(
    '/variables/:name',
    {
      schema: {
        ...ADMIN,
        summary: 'Set a system variable',
        params: NAME_PARAMS,
        body: closed({ value: VALUE }, ['value']),
        response: { 200: VARIABLE, ...PROBLEMS },
      },
    },
    async (request) => {
      const { name } = request.params;
      await admin.writeVariable(name, request.body.value);
      return { name, value: request.body.value };
    },
  );

  app.delete<{ Params: { name: string } }>(
    '/variables/:name',
    {
      schema: {
        ...ADMIN,
        summary: 'Unset a system variable',
        params: NAME_PARAMS,
        response: { 200: DONE, ...PROBLEMS },
      },
    },
    async (request) => {
      await admin.writeVariable(request.params.name, null);
      return { status: 'removed' };
    },
  );
}

/** In the order of the rows; `from` is the first row to look at. Sessions that come and go don't disturb the pages. */
function sessionPage(table: OnlineTable, limit: number, from: number): object {
  const sessions: object[] = [];
  let row = from;
  for (; row < table.sessions.used && sessions.length < limit; row++) {
    if (table.isOpen(row)) sessions.push(sessionText(table.uidOf(row), table.device(row)));
  }
  return { sessions, next: row < table.sessions.used ? String(row - 1) : null };
}

function sessionText(uid: string, device: Device): object {
  return {
    uid,
    instance: device.instance,
    status: device.status,
    note: device.note,
    network: device.network,
    firewall: device.firewall,
    wan: formatAddress(device.wan),
    local: formatMaybe(device.local),
    device: device.device,
    sip: device.contact === '' ? undefined : device.contact,
    loginAt: new Date(device.loginS * 1000).toISOString(),
    seenAt: new Date(device.seenS * 1000).toISOString(),
  };
}
