/** `/v1/admin/…`, all of it with the admin token. */
import type { FastifyInstance, RouteOptions } from 'fastify';
import { adminDrain } from './admin-drain.ts';
import { adminNode } from './admin-node.ts';
import { adminUsers } from './admin-users.ts';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';

/** Lists of a thousand uids are longer than what clients send. */
const BODY_BYTES_MAX = 256 * 1024;

/** A plugin of its own, so that nothing in it can be reached past the token. */
export function adminRoutes(app: FastifyInstance, deps: HttpDeps, gates: Gates): void {
  app.addHook('onRoute', (route: RouteOptions) => {
    route.bodyLimit = BODY_BYTES_MAX;
  });
  app.addHook('onRequest', async (request, reply) => {
    await gates.requireAdmin(request);
    reply.header('cache-control', 'no-store');
  });
  adminUsers(app, deps.admin);
  adminNode(app, deps);
  adminDrain(app, deps);
}
