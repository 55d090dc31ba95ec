/** The CONFIG XML, for the user himself. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { VserverError } from '../base/errors.ts';
import type { ConfigDocument } from '../config-xml/document.ts';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';
import { PROBLEMS } from './problem.ts';
import { readUid } from './read.ts';
import { BY_SESSION, closed, STRING } from './schemas.ts';
import type { UserAuth } from './user-auth.ts';

/** Shorter documents are not worth the work. */
const GZIP_BYTES_MIN = 1_024;
const SUFFIX = '.xml';

const BY_USER = [...BY_SESSION, { basic: [] }, { digest: [] }];

const RESPONSES = {
  200: { description: 'the CONFIG document', content: { 'application/xml': { schema: STRING } } },
  304: { type: 'null', description: 'the document still has one of the ETags of If-None-Match' },
  ...PROBLEMS,
};

type Answer = FastifyReply | Promise<FastifyReply>;

export function configRoutes(app: FastifyInstance, deps: HttpDeps, gates: Gates, userOf: UserAuth): void {
  const { uses } = deps;

  // Nothing waits where the user is known by his session and his document from memory, as nearly always: a promise at
  // each step would cost more than the document.
  const serve = (request: FastifyRequest, reply: FastifyReply, uid: string): Answer => {
    const withPasswords = gates.isPrivate(request);
    const known = uses.configHere(uid, withPasswords);
    if (known !== undefined) return send(request, reply, known);
    return uses.config(uid, withPasswords).then((document) => {
      if (document === null) throw new VserverError('NO_SUCH_USER');
      return send(request, reply, document);
    });
  };

  app.get(
    '/v1/config',
    { schema: { summary: 'The own CONFIG', tags: ['client'], security: BY_USER, response: RESPONSES } },
    (request, reply) => {
      const user = userOf(request, reply);
      if (typeof user === 'string') return serve(request, reply, user);
      return user.then((uid) => serve(request, reply, uid));
    },
  );

  app.get<{ Params: { file: string } }>(
    '/config/:file',
    {
      schema: {
        summary: 'The own CONFIG, {uid}.xml',
        tags: ['client'],
        security: BY_USER,
        params: closed({ file: { type: 'string', minLength: 1, maxLength: 260 } }, ['file']),
        response: RESPONSES,
      },
    },
    async (request, reply) => {
      const { file } = request.params;
      if (!file.endsWith(SUFFIX)) throw new VserverError('NOT_FOUND');
      const uid = readUid(file.slice(0, -SUFFIX.length));
      if ((await userOf(request, reply)) !== uid) throw new VserverError('REFUSED', 'the CONFIG of somebody else');
      return serve(request, reply, uid);
    },
  );
}

function send(request: FastifyRequest, reply: FastifyReply, document: ConfigDocument): Answer {
  const { body, etag } = document;
  reply.header('cache-control', 'private, no-cache').header('vary', 'authorization, accept-encoding');
  const wanted = request.headers['if-none-match'];
  if (wanted !== undefined && isAmong(wanted, etag)) return reply.code(304).header('etag', etag).send();
  reply.header('content-type', 'application/xml; charset=utf-8');
  if (body.length < GZIP_BYTES_MIN || !takesGzip(request.headers['accept-encoding'])) {
    return reply.header('etag', etag).send(body);
  }
  // Other bytes may not have the same strong ETag (RFC 9110 section 8.8.3.3).
  reply.header('etag', `W/${etag}`).header('content-encoding', 'gzip');
  return compress(body).then((compressed) => reply.send(compressed));
}
const compress = promisify(gzip);

/** If-None-Match compares weakly (RFC 9110 section 13.1.2). */
function isAmong(header: string, etag: string): boolean {
  if (header === etag || header === '*') return true;
  return header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}

/** RFC 9110 section 12.5.3; a weight of zero is a refusal. */
function takesGzip(header: string | string[] | undefined): boolean {
  const offers = (Array.isArray(header) ? header.join(',') : (header ?? '')).toLowerCase().split(',');
  return offers.some((offer) => /^\s*(?:x-)?gzip\s*(?:;(?!\s*q=0(?:\.0*)?\s*$).*)?$/.test(offer));
}
