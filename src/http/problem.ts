/** Errors as problem documents (RFC 9457), whatever went wrong and wherever. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../base/errors.ts';
import { ERRORS, isUnavailable, VserverError } from '../base/errors.ts';
import type { Log } from '../base/ports.ts';

const MEDIA_TYPE = 'application/problem+json';
/** Seconds, where the error does not say. */
const RETRY_AFTER_S = 5;

export const PROBLEM_SCHEMA = {
  $id: 'Problem',
  type: 'object',
  description: 'Problem document, RFC 9457',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    requestId: { type: 'string' },
  },
} as const;

/** For the `response` of every route. */
export const PROBLEMS = { '4xx': { $ref: 'Problem#' }, '5xx': { $ref: 'Problem#' } } as const;

/** Sends the problem document; `more` are further members of it. */
export function sendProblem(
  reply: FastifyReply,
  code: ErrorCode,
  options: { status?: number; detail?: string; retryAfter?: number | undefined; more?: object } = {},
): FastifyReply {
  const status = options.status ?? ERRORS[code].status;
  if (status === 401 && !reply.hasHeader('www-authenticate')) reply.header('www-authenticate', 'Bearer');
  if (status === 429 || status === 503) reply.header('retry-after', options.retryAfter ?? RETRY_AFTER_S);
  const title = status === ERRORS[code].status ? ERRORS[code].reason : (STATUS_CODES[status] ?? 'error');
  const { requestId, ...more } = { requestId: reply.request.id, ...options.more };
  return reply
    .code(status)
    .header('content-type', MEDIA_TYPE)
    .header('cache-control', 'no-store')
    .send(Buffer.from(JSON.stringify(problem(code, status, title, options.detail ?? title, { ...more, requestId }))));
}

/** Makes every error of the app a problem document; what nobody expected is logged and says nothing. */
export function handleErrors(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, 'NOT_FOUND'));
  app.setErrorHandler((error: FastifyError | VserverError, request, reply) => answer(error, request, reply, log));
}

/** Those of the framework that are more than a bad request. */
const CLIENT_ERRORS: Readonly<Record<number, ErrorCode>> = { 413: 'TOO_LONG', 415: 'UNSUPPORTED_MEDIA_TYPE' };

/** For errors before there is a route, such as a path that can't be decoded. */
export function answer(
  error: FastifyError | VserverError,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log,
): FastifyReply {
  if (error instanceof VserverError) {
    // Of a directory that is down the guard has told once, with its cause: not again for each request.
    if (error.status >= 500 && !isUnavailable(error)) {
      log.warn({ err: error, requestId: request.id, route: routeOf(request) }, error.code);
    }
    return sendProblem(reply, error.code, { detail: error.message, retryAfter: error.retryAfter });
  }
  const status = error.statusCode ?? 500;
  // Of the framework's errors those below 500 are the client's: schema, JSON, media type, length.
  if (status >= 400 && status < 500) {
    return sendProblem(reply, CLIENT_ERRORS[status] ?? 'BAD_REQUEST', { status, detail: detailOf(error) });
  }
  log.error({ err: error, requestId: request.id, route: routeOf(request) }, 'request failed');
  return sendProblem(reply, 'INTERNAL');
}

/** The parser gave up before there was a request; what it says goes straight to the socket. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413 }[error.code ?? ''] ??
    400;
  const title = STATUS_CODES[status] ?? 'Bad Request';
  const body = JSON.stringify(problem('BAD_REQUEST', status, title, title, {}));
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: ${MEDIA_TYPE}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function problem(code: ErrorCode, status: number, title: string, detail: string, more: object): object {
  return {
    type: `urn:vserver:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    detail,
    code,
    ...more,
  };
}

/** The pattern, not the path: that one may hold a ticket. */
function routeOf(request: FastifyRequest): string {
  return `${request.method} ${request.routeOptions.url ?? ''}`;
}

/** The framework's messages name fields and rules, never values; those of the JSON parser quote the body. */
function detailOf(error: FastifyError): string {
  if (error.validation !== undefined || error.code.startsWith('FST_ERR_CTP_')) return error.message;
  return error.code === 'FST_ERR_BAD_URL' ? 'the path can not be decoded' : 'the body is no JSON';
}
