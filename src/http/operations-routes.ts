/** For those who run the node: health, readiness, metrics, and the description of this interface. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';
import type { Metrics } from './metrics.ts';
import { PROBLEMS } from './problem.ts';
import { closed, DONE, STRING } from './schemas.ts';

const BOOLEAN = { type: 'boolean' } as const;

/** What the node works with; also in the status for administrators. */
export const DEPENDENCIES = {
  type: 'array',
  items: closed(
    {
      dependency: { type: 'string', description: 'directory; in a cluster also nats' },
      ok: BOOLEAN,
      needed: { ...BOOLEAN, description: 'nobody can log in without it' },
      detail: STRING,
    },
    [],
  ),
} as const;

const READINESS = closed(
  {
    status: {
      type: 'string',
      enum: ['ready', 'degraded', 'not ready'],
      description: 'degraded: users are served, while something that they can do without is away',
    },
    dependencies: DEPENDENCIES,
  },
  [],
);

/** Before all routes: they are described as they are added. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'vserver', version, description: 'The HTTP twin of the client protocol, and administration' },
      components: {
        securitySchemes: {
          session: { type: 'http', scheme: 'bearer', description: 'the token of the login' },
          admin: { type: 'http', scheme: 'bearer', description: 'the admin token' },
          basic: { type: 'http', scheme: 'basic' },
          digest: { type: 'http', scheme: 'digest' },
        },
      },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json.$id === 'string' ? json.$id : `def-${index}`,
    },
  });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true });
}

export function operationsRoutes(app: FastifyInstance, deps: HttpDeps, gates: Gates, metrics: Metrics): void {
  const onRequest = (request: FastifyRequest, _reply: unknown, done: () => void): void => {
    gates.admitStranger(request);
    done();
  };

  app.get(
    '/healthz',
    { schema: { summary: 'The process runs', tags: ['operations'], response: { 200: DONE } } },
    (_request, reply) => reply.send({ status: 'ok' }),
  );

  app.get(
    '/readyz',
    {
      schema: {
        summary: 'Everything is there that logins need (200), or not (503)',
        tags: ['operations'],
        response: { 200: READINESS, 503: READINESS },
      },
      onRequest,
    },
    (_request, reply) => {
      const dependencies = deps.ready();
      const away = dependencies.filter((one) => !one.ok);
      const isReady = !away.some((one) => one.needed);
      if (!isReady) reply.code(503).header('retry-after', 5);
      const status = isReady ? (away.length === 0 ? 'ready' : 'degraded') : 'not ready';
      return reply.send({ status, dependencies });
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        summary: 'For Prometheus',
        tags: ['operations'],
        response: {
          200: { description: 'the metrics as text', content: { 'text/plain': { schema: STRING } } },
          ...PROBLEMS,
        },
      },
      onRequest,
    },
    async (_request, reply) => reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );

  // For who opens the address that a start prints.
  app.get('/', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs'));
  app.get('/openapi.json', { schema: { hide: true }, onRequest }, (_request, reply) => reply.send(app.swagger()));
}
