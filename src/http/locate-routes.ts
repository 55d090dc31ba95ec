/** `GET /v1/locate/{uid}`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { formatAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { ServerRecord } from '../base/model.ts';
import type { Device } from '../heartbeat/online.ts';
import type { Located } from '../locator/locate.ts';
import { namedAsker } from '../locator/asker.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import { checkTicket, issueTicket } from '../redirect/tickets.ts';
import type { HttpDeps } from './deps.ts';
import { bearer, type Gates } from './gates.ts';
import { PROBLEMS, sendProblem } from './problem.ts';
import { formatMaybe, readUid } from './read.ts';
import { BY_SESSION, closed, STRING, TICKET, UID_PARAMS, UID_TEXT } from './schemas.ts';

const ABOUT_DEVICE = {
  status: STRING,
  note: STRING,
  network: STRING,
  firewall: STRING,
  wan: STRING,
  local: STRING,
  device: STRING,
  sip: { type: 'string', description: 'contact, where registered by SIP' },
} as const;

const STEPS = { type: 'array', items: STRING } as const;

/** Of a user who is online, or what is said instead. */
const ANSWER = closed(
  {
    uid: STRING,
    alias: STRING,
    telephone: { type: 'string', description: 'numbers, separated by ;' },
    ...ABOUT_DEVICE,
    devices: { type: 'array', items: closed(ABOUT_DEVICE, []) },
    lastSeen: STRING,
    location: STRING,
    server: STRING,
    steps: STEPS,
  },
  [],
);

interface LocateQuery {
  ticket?: string;
  explain?: string;
  as?: string;
}

interface Asking {
  readonly asker: string;
  /** How often the asker was sent on. */
  readonly hops: number;
  /** The trace where an administrator wants it explained. */
  readonly steps: string[] | undefined;
}

export function locateRoutes(app: FastifyInstance, deps: HttpDeps, gates: Gates): void {
  const { uses } = deps;
  app.get<{ Params: { uid: string }; Querystring: LocateQuery }>(
    '/v1/locate/:uid',
    {
      schema: {
        summary: 'Where is this user?',
        tags: ['client'],
        security: BY_SESSION,
        params: UID_PARAMS,
        querystring: closed(
          {
            ticket: TICKET,
            explain: { type: 'string', maxLength: 5, description: 'admin only: adds the steps of the way' },
            as: { ...UID_TEXT, description: 'with explain: the user who asks' },
          },
          [],
        ),
        response: { 200: ANSWER, 303: closed({ status: STRING, server: STRING }, []), ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const target = readUid(request.params.uid);
      const asking = await whoAsks(deps, gates, request, target);
      const { asker, steps } = asking;
      const trace = steps === undefined ? undefined : (step: string) => void steps.push(step);
      const located = uses.locateHere(asker, target, trace) ?? (await uses.locateAnywhere(asker, target, trace));
      return answer(deps, reply, located, asking);
    },
  );
}

async function whoAsks(
  deps: HttpDeps,
  gates: Gates,
  request: FastifyRequest<{ Querystring: LocateQuery }>,
  target: string,
): Promise<Asking> {
  const { table } = deps.uses;
  const { ticket, explain, as } = request.query;
  if (explain !== undefined) {
    await gates.requireAdmin(request);
    return { asker: as ?? '', hops: 0, steps: [] };
  }
  if (as !== undefined) throw new VserverError('REFUSED', '`as` goes with `explain`');
  if (ticket === undefined || bearer(request) !== undefined) {
    return { asker: table.uidOf(gates.session(request)), hops: 0, steps: undefined };
  }
  gates.admitStranger(request);
  return { ...byTicket(deps, ticket, target), steps: undefined };
}

/** Throws SESSION_UNKNOWN where the ticket is not good for this. */
function byTicket({ uses, settings }: HttpDeps, ticket: string, target: string): { asker: string; hops: number } {
  const expected = { purpose: 'locate', server: uses.servers.me.name, target } as const;
  const check = checkTicket(settings.clusterKey, ticket, expected, uses.clock.now());
  if (check.outcome !== 'good') throw new VserverError('SESSION_UNKNOWN', 'the ticket is not good here');
  return { asker: namedAsker(uses.table, check.asker, target), hops: check.hops };
}

function answer(deps: HttpDeps, reply: FastifyReply, located: Located, asking: Asking): FastifyReply {
  const { steps } = asking;
  reply.header('cache-control', 'no-store');
  switch (located.kind) {
    case 'user':
      return reply.send({ ...userText(located), steps });
    case 'see-also':
      return seeAlso(deps, reply, located.uid, located.server, asking);
    case 'offline': {
      const lastSeen = located.lastSeen === null ? undefined : new Date(located.lastSeen).toISOString();
      return reply.send({ status: 'offline', lastSeen, steps });
    }
    case 'unknown':
      return sendProblem(reply, 'NO_SUCH_USER', steps === undefined ? {} : { more: { steps } });
  }
}

function userText(user: Extract<Located, { kind: 'user' }>): object {
  const [first] = user.devices;
  return {
    uid: user.uid,
    alias: user.alias,
    telephone: user.telephones.length === 0 ? undefined : user.telephones.join(';'),
    ...deviceText(first, user.showAddresses),
    devices: user.devices.map((device) => deviceText(device, user.showAddresses)),
  };
}

/** PROTOCOL.md, `User`. */
function deviceText(device: Device, showAddresses: boolean): object {
  return {
    status: device.status,
    note: device.note,
    network: device.network,
    firewall: device.firewall,
    ...(showAddresses ? { wan: formatAddress(device.wan), local: formatMaybe(device.local) } : {}),
    device: device.device,
    // The contact holds the address where he registered.
    sip: device.contact === '' || !showAddresses ? undefined : device.contact,
  };
}

function seeAlso(
  { settings, uses }: HttpDeps,
  reply: FastifyReply,
  uid: string,
  server: ServerRecord,
  { asker, hops, steps }: Asking,
): FastifyReply {
  const location = `${server.http}/v1/locate/${encodeURIComponent(uid)}`;
  const answered = { status: 'see-also', server: formatAddress(server.udp) };
  // Who explains is answered, not sent on with the admin token.
  if (steps !== undefined) return reply.send({ ...answered, uid, location, steps });
  // Sent on too often: two servers take each other for the owner, so he is nowhere.
  if (hops >= HOPS_MAX) return reply.send({ status: 'offline' });
  const ticket = issueTicket(
    settings.clusterKey,
    { purpose: 'locate', asker, target: uid, server: server.name, issuer: uses.servers.me.name, hops: hops + 1 },
    uses.clock.now(),
  );
  return reply.code(303).header('location', `${location}?ticket=${ticket}`).send(answered);
}
