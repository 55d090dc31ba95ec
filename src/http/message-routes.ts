/** Messages between users: to send one, to read those that wait, and to say that one was read. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { VserverError } from '../base/errors.ts';
import { DEFAULT_CONTENT_TYPE, MESSAGE_BODY_BYTES_MAX, newMessageId, requireSent } from '../messages/message-rules.ts';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';
import { PROBLEMS } from './problem.ts';
import { BY_SESSION, closed, DONE, INTEGER, STRING, UID_TEXT } from './schemas.ts';

interface MessageBody {
  to: string;
  body: string;
  type?: string;
  id?: string;
}

/** JSON may take two characters for one, as for a line end. */
const REQUEST_BYTES_MAX = 2 * MESSAGE_BODY_BYTES_MAX + 4_096;

const MESSAGE = closed(
  {
    to: { ...UID_TEXT, description: 'uid, or 0, country code and uid' },
    body: { type: 'string', description: 'at most 64 KiB of UTF-8' },
    type: { type: 'string', maxLength: 255, description: 'media type; text/plain where it is absent' },
    id: {
      type: 'string',
      maxLength: 64,
      description: "the sender's own: what is sent again with it is not sent twice",
    },
  },
  ['to', 'body'],
);
const SENT = closed(
  {
    id: STRING,
    outcome: {
      type: 'string',
      enum: ['delivered', 'stored'],
      description: 'stored: he gets it when he comes, or within seconds where another node has him',
    },
  },
  ['id', 'outcome'],
);
const WAITING = closed(
  {
    messages: {
      type: 'array',
      items: closed({ number: INTEGER, from: STRING, id: STRING, type: STRING, time: STRING, body: STRING }, [
        'number',
        'from',
        'id',
        'type',
        'time',
        'body',
      ]),
    },
  },
  ['messages'],
);
const NUMBER = /^\d{1,15}$/;

export function messageRoutes(app: FastifyInstance, { uses, random }: HttpDeps, gates: Gates): void {
  const { table, messages } = uses;
  // The session is looked for before the body is read, and again afterwards: it may have ended meanwhile.
  const onRequest = (request: FastifyRequest, _reply: unknown, done: () => void): void => {
    gates.session(request);
    done();
  };
  const about = { tags: ['client'], security: BY_SESSION };

  app.post<{ Body: MessageBody }>(
    '/v1/messages',
    {
      schema: { ...about, summary: 'Send a message', body: MESSAGE, response: { 200: SENT, ...PROBLEMS } },
      bodyLimit: REQUEST_BYTES_MAX,
      onRequest,
    },
    async (request) => {
      const row = gates.session(request);
      const { uid, mayCallOut } = table.users.profile(table.sessions.user(row));
      const { to, body, type = DEFAULT_CONTENT_TYPE, id = newMessageId(random) } = request.body;
      const sent = await messages.send({ from: uid, mayCallOut, to, id, contentType: type, body });
      return { id, outcome: requireSent(sent) };
    },
  );

  app.get<{ Querystring: { after?: string } }>(
    '/v1/messages',
    {
      schema: {
        ...about,
        summary: 'Messages that wait: those that no device of the user has taken, up to 20, the oldest first',
        querystring: closed({ after: { type: 'string', description: 'the number of the last one of a page' } }, []),
        response: { 200: WAITING, ...PROBLEMS },
      },
    },
    async (request) => {
      const uid = table.uidOf(gates.session(request));
      const page = await messages.waiting(uid, numberOf(request.query.after ?? '0'));
      return {
        messages: page.map(({ number, from, id, contentType, sentAt, body }) => ({
          ...{ number, from, id, body },
          type: contentType,
          time: new Date(sentAt).toISOString(),
        })),
      };
    },
  );

  app.delete<{ Params: { number: string } }>(
    '/v1/messages/:number',
    {
      schema: {
        ...about,
        summary: 'The message was read: it waits no longer',
        params: closed({ number: STRING }, ['number']),
        response: { 200: DONE, ...PROBLEMS },
      },
    },
    async (request) => {
      const uid = table.uidOf(gates.session(request));
      if (!(await messages.acknowledged(uid, numberOf(request.params.number)))) throw new VserverError('NOT_FOUND');
      return { status: 'ok' };
    },
  );
}

function numberOf(text: string): number {
  if (!NUMBER.test(text)) throw new VserverError('BAD_REQUEST', 'not the number of a message');
  return Number(text);
}
