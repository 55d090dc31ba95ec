/** For those who run the node: health, readiness, metrics, and the description of this interface. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';
import type { Metrics } from './metrics.ts';
import { PROBLEMS } from './problem.ts';
import { closed, DONE, STRING } from './schemas.ts';

const READINESS = closed(
  {
    status: STRING,
    dependencies: {
      type: 'array',
      items: closed({ dependency: STRING, ok: { type: 'boolean' }, detail: STRING }, []),
    },
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
        summary: 'Everything is there that logins need',
        tags: ['operations'],
        response: { 200: READINESS, 503: READINESS },
      },
      onRequest,
    },
    (_request, reply) => {
      const dependencies = deps.ready();
      const ok = dependencies.every((one) => one.ok);
      if (!ok) reply.code(503).header('retry-after', 5);
      return reply.send({ status: ok ? 'ready' : 'not ready', dependencies });
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
