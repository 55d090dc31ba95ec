/** The HTTP edge: decode → use case → encode (PROTOCOL.md section 2). Several may live in one process. */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { canonicalHost } from '../base/address.ts';
import { readPem, watchCertificate } from '../base/certificate.ts';
import type { Address } from '../base/model.ts';
import type { Pem } from '../base/ports.ts';
import { releaseOf } from '../redirect/server-record.ts';
import { adminRoutes } from './admin-routes.ts';
import { buddyRoutes } from './buddy-routes.ts';
import { configRoutes } from './config-routes.ts';
import type { HttpDeps } from './deps.ts';
import { createGates } from './gates.ts';
import { locateRoutes } from './locate-routes.ts';
import { loginRoutes } from './login-routes.ts';
import { messageRoutes } from './message-routes.ts';
import { createMetrics } from './metrics.ts';
import { describeRoutes, operationsRoutes } from './operations-routes.ts';
import { watchMethods } from './other-methods.ts';
import { answer, answerBrokenRequest, handleErrors, PROBLEM_SCHEMA } from './problem.ts';
import { serverRoutes, sessionRoutes } from './session-routes.ts';
import { createUserAuth } from './user-auth.ts';

export interface HttpServer {
  /** For tests: `app.inject()` asks without a socket. */
  readonly app: FastifyInstance;
  /** Binds; port 0 = a free one. Rejects with the system's error where the address is taken or not ours. */
  listen(at: Address): Promise<Address>;
  /** Answers what it has begun, a few seconds at most. */
  close(): Promise<void>;
}

const BODY_BYTES_MAX = 64 * 1024;
/** A uid of 64 characters, each of 4 bytes, each byte as %XX. */
const PARAMETER_CHARACTERS_MAX = 1_024;
const CLOSE_MS_MAX = 3_000;
const CONNECTIONS_MAX = 20_000;

const LIMITS: ServerOptions = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5_000,
  // Longer than the time between heartbeats, so that a client need not connect for each.
  keepAliveTimeout: 65_000,
};
const REQUESTS_A_CONNECTION_MAX = 1_000_000;

/** Rejects with SETTINGS where the certificate can't be used. */
export async function createHttp(deps: HttpDeps): Promise<HttpServer> {
  const { settings, log, uses, timers } = deps;
  const pem = settings.tls === null ? null : await readPem(settings.tls);
  const app = fastify({
    serverFactory: (handler) => serverFor(handler, pem),
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAMETER_CHARACTERS_MAX },
    genReqId: requestIds(deps.random.bytes(4).toString('hex')),
    // Nothing is turned into something else or dropped in silence.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => void answer(error, request, reply, log),
  });

  handleErrors(app, log);
  takeJsonOnly(app);
  app.addSchema(PROBLEM_SCHEMA);
  await describeRoutes(app, releaseOf(uses.servers.me.version));
  const gates = createGates(deps);
  const metrics = createMetrics(() => deps.numbers());
  const addOtherMethods = watchMethods(app);
  loginRoutes(app, deps, gates);
  sessionRoutes(app, deps, gates);
  serverRoutes(app, deps, gates);
  locateRoutes(app, deps, gates);
  messageRoutes(app, deps, gates);
  buddyRoutes(app, deps, gates);
  configRoutes(app, deps, gates, createUserAuth(deps, gates));
  operationsRoutes(app, deps, gates, metrics);
  await app.register(
    (scope, _options, done) => {
      adminRoutes(scope, deps, gates);
      done();
    },
    { prefix: '/v1/admin' },
  );
  addOtherMethods();
  await app.ready();

  let stopWatching = (): void => undefined;
  return {
    app,
    async listen({ host, port }) {
      await app.listen({ host, port });
      const bound = app.server.address() as AddressInfo;
      const { server } = app;
      if (settings.tls !== null && server instanceof TlsServer) {
        stopWatching = watchCertificate(settings.tls, timers, log, (fresh) => {
          server.setSecureContext(fresh);
        });
      }
      return { host: canonicalHost(bound.address), port: bound.port };
    },
    async close() {
      stopWatching();
      metrics.close();
      const late = timers.after(CLOSE_MS_MAX, () => {
        app.server.closeAllConnections();
      });
      await app.close();
      late.cancel();
    },
  };
}

/** No body at all is fine under any media type, for the requests that need none. */
function takeJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body as string, done);
  });
}

function serverFor(handler: RequestListener, pem: Pem | null): Server {
  const server = pem === null ? createServer(LIMITS, handler) : createTlsServer({ ...LIMITS, ...pem }, handler);
  server.maxRequestsPerSocket = REQUESTS_A_CONNECTION_MAX;
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

/** The client's own id where it is a plain one, else a number under a prefix of this server. */
function requestIds(prefix: string): (raw: { headers: Record<string, string | string[] | undefined> }) => string {
  let count = 0;
  return ({ headers }) => {
    const given = headers['x-request-id'];
    return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : `${prefix}-${++count}`;
  };
}
