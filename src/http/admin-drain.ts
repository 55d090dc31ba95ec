/** Drain and undrain: a node sends its users to the others before it is stopped. */
import type { FastifyInstance } from 'fastify';
import { ADMIN } from './admin-users.ts';
import type { HttpDeps } from './deps.ts';
import { PROBLEMS } from './problem.ts';
import { closed, INTEGER, STRING } from './schemas.ts';

const RATE_MAX = 100_000;

const DRAIN = closed(
  {
    state: STRING,
    users: { ...INTEGER, description: 'who are still here' },
    usersAtStart: INTEGER,
    rate: INTEGER,
    since: STRING,
    elsewhere: { ...INTEGER, description: 'other servers that have room' },
  },
  [],
);

export function adminDrain(app: FastifyInstance, { uses }: HttpDeps): void {
  const { servers, table } = uses;
  const progress = (): object => ({
    state: servers.state,
    users: table.users.count,
    elsewhere: servers.withRoom().length,
    ...(servers.drained === null
      ? {}
      : {
          usersAtStart: servers.drained.usersAtStart,
          rate: servers.drained.rate,
          since: new Date(servers.drained.sinceMs).toISOString(),
        }),
  });
  const response = { 200: DRAIN, ...PROBLEMS };

  app.get('/drain', { schema: { ...ADMIN, summary: 'How far the node is drained', response } }, (_request, reply) =>
    reply.send(progress()),
  );

  app.post<{ Body: { rate?: number } | null | undefined }>(
    '/drain',
    {
      schema: {
        ...ADMIN,
        summary: 'Send new logins elsewhere at once, and those who are here by and by',
        body: {
          ...closed(
            {
              rate: {
                type: 'integer',
                minimum: 1,
                maximum: RATE_MAX,
                description: 'users a second that are sent elsewhere at most',
              },
            },
            [],
          ),
          type: ['object', 'null'],
        },
        response,
      },
    },
    (request, reply) => {
      servers.drain(request.body?.rate);
      return reply.send(progress());
    },
  );

  app.post('/undrain', { schema: { ...ADMIN, summary: 'Take logins again', response } }, (_request, reply) => {
    servers.setState('on');
    return reply.send(progress());
  });
}
