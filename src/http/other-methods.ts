/** Methods that a path does not have: 405 with `Allow` (RFC 9110 section 15.5.6), not 404. */
import type { FastifyInstance } from 'fastify';
import { VserverError } from '../base/errors.ts';

const METHODS = ['DELETE', 'GET', 'PATCH', 'POST', 'PUT'] as const;

/** Before the routes; what it answers is called behind them, and adds to each path the methods that it lacks. */
export function watchMethods(app: FastifyInstance): () => void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    methodsOf.set(url, new Set([...(methodsOf.get(url) ?? []), method].flat()));
  });
  return () => {
    // The routes that are added here come by the hook too.
    for (const [url, methods] of [...methodsOf]) {
      const method = METHODS.filter((one) => !methods.has(one));
      const allow = [...methods].sort().join(', ');
      app.route({
        ...{ url, method },
        schema: { hide: true },
        // Before the body is read, whatever it is.
        onRequest: (_request, reply, done) => {
          reply.header('allow', allow);
          done(new VserverError('METHOD_NOT_ALLOWED'));
        },
        handler: () => Promise.resolve(),
      });
    }
  };
}
