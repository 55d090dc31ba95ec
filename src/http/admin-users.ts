/** Administration of users: search, show, create, change, remove, kick. */
import type { FastifyInstance } from 'fastify';
import type { Admin } from '../admin/admin.ts';
import type { SearchField, UserChanges } from '../directory/directory.ts';
import { SEARCH_FIELDS } from '../directory/directory.ts';
import type { ChangesBody, NewUserBody } from './admin-text.ts';
import { accountsOf, CHANGES, NEW_USER, newUser, USER, userText } from './admin-text.ts';
import { PROBLEMS } from './problem.ts';
import { readUid } from './read.ts';
import { BY_ADMIN, closed, DONE, INTEGER, PASSWORD, UID_PARAMS } from './schemas.ts';

/** Text, as all of a query is; up to 1000. */
export const LIMIT = { type: 'string', pattern: '^([1-9][0-9]{0,2}|1000)$', description: '1 to 1000' } as const;
export const LIMIT_DEFAULT = '100';
export const ADMIN = { tags: ['admin'], security: BY_ADMIN } as const;

const SEARCH = closed(
  {
    field: { type: 'string', enum: SEARCH_FIELDS, default: 'uid' },
    prefix: { type: 'string', maxLength: 256, default: '' },
    limit: { ...LIMIT, default: LIMIT_DEFAULT },
    after: { type: 'string', maxLength: 1_024, description: 'next of the page before' },
  },
  [],
);
const PAGE = closed({ users: { type: 'array', items: USER }, next: { type: ['string', 'null'] } }, []);

interface UidParams {
  Params: { uid: string };
}

export function adminUsers(app: FastifyInstance, admin: Admin): void {
  listRoutes(app, admin);
  recordRoutes(app, admin);
  actionRoutes(app, admin);
}

function listRoutes(app: FastifyInstance, admin: Admin): void {
  app.get<{ Querystring: { field: SearchField; prefix: string; limit: string; after?: string } }>(
    '/users',
    { schema: { ...ADMIN, summary: 'Search', querystring: SEARCH, response: { 200: PAGE, ...PROBLEMS } } },
    async (request) => {
      const { limit, ...query } = request.query;
      const { users, next } = await admin.search({ ...query, limit: Number(limit) });
      return { users: users.map(userText), next };
    },
  );

  app.post<{ Body: NewUserBody }>(
    '/users',
    { schema: { ...ADMIN, summary: 'Create a user', body: NEW_USER, response: { 201: USER, ...PROBLEMS } } },
    async (request, reply) => {
      const uid = readUid(request.body.uid);
      await admin.create(newUser(request.body), request.body.password);
      reply.code(201).header('location', `/v1/admin/users/${encodeURIComponent(uid)}`);
      return userText(await admin.show(uid));
    },
  );
}

function recordRoutes(app: FastifyInstance, admin: Admin): void {
  app.get<UidParams>(
    '/users/:uid',
    { schema: { ...ADMIN, summary: 'Show a user', params: UID_PARAMS, response: { 200: USER, ...PROBLEMS } } },
    async (request) => userText(await admin.show(readUid(request.params.uid))),
  );

  app.patch<UidParams & { Body: ChangesBody }>(
    '/users/:uid',
    {
      schema: {
        ...ADMIN,
        summary: 'Change what is named; the rest stays',
        params: UID_PARAMS,
        body: CHANGES,
        response: { 200: USER, ...PROBLEMS },
      },
    },
    async (request) => {
      const uid = readUid(request.params.uid);
      const { password, voip, ...open } = request.body;
      const changes: UserChanges =
        voip === undefined ? open : { ...open, voip: accountsOf(voip, (await admin.show(uid)).voip) };
      await admin.change(uid, changes, password);
      return userText(await admin.show(uid));
    },
  );

  app.delete<UidParams>(
    '/users/:uid',
    { schema: { ...ADMIN, summary: 'Remove a user', params: UID_PARAMS, response: { 200: DONE, ...PROBLEMS } } },
    async (request) => {
      await admin.remove(readUid(request.params.uid));
      return { status: 'removed' };
    },
  );
}

function actionRoutes(app: FastifyInstance, admin: Admin): void {
  app.put<UidParams & { Body: { password: string } }>(
    '/users/:uid/password',
    {
      schema: {
        ...ADMIN,
        summary: 'Set the password',
        params: UID_PARAMS,
        body: closed({ password: PASSWORD }, ['password']),
        response: { 200: DONE, ...PROBLEMS },
      },
    },
    async (request) => {
      await admin.change(readUid(request.params.uid), {}, request.body.password);
      return { status: 'changed' };
    },
  );

  app.post<UidParams>(
    '/users/:uid/kick',
    {
      schema: {
        ...ADMIN,
        summary: 'End all sessions of the user, whichever server has him (0: it does not answer, or there is none)',
        params: UID_PARAMS,
        response: { 200: closed({ sessions: INTEGER, server: { type: ['string', 'null'] } }, []), ...PROBLEMS },
      },
    },
    (request) => admin.kick(readUid(request.params.uid)),
  );
}
