/** Buddies and blocked users of the one who is logged in. */
import type { FastifyInstance } from 'fastify';
import type { Lists } from '../base/model.ts';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';
import { PROBLEMS } from './problem.ts';
import { readUid } from './read.ts';
import { BY_SESSION, closed, DONE, STRING, UID_PARAMS } from './schemas.ts';

const BUDDY = closed(
  {
    uid: STRING,
    relation: { type: 'string', enum: ['buddy', 'asked', 'asking', 'none'] },
    status: { type: 'string', description: 'as far as he lets himself be seen, and is on this server' },
    note: STRING,
  },
  [],
);
const UIDS = { type: 'array', items: STRING } as const;
const ALL = closed({ buddies: { type: 'array', items: BUDDY }, asked: UIDS, asking: UIDS, blocked: UIDS }, []);
const CHANGED = { ...DONE, description: '`asked`: he is a buddy as soon as he consents' } as const;

type Params = { Params: { uid: string } };

export function buddyRoutes(app: FastifyInstance, { uses }: HttpDeps, gates: Gates): void {
  const { presence, table } = uses;
  const common = { tags: ['client'], security: BY_SESSION };
  const buddyText = (own: string, lists: Lists, uid: string): object => ({
    uid,
    relation: relationTo(lists, uid),
    ...presence.seen(own, uid),
  });

  app.get(
    '/v1/buddies',
    { schema: { ...common, summary: 'All buddies, and who asks or is blocked', response: { 200: ALL, ...PROBLEMS } } },
    async (request) => {
      const own = table.uidOf(gates.session(request));
      const lists = await uses.lists(own);
      return { ...lists, buddies: lists.buddies.map((uid) => buddyText(own, lists, uid)) };
    },
  );

  app.get<Params>(
    '/v1/buddies/:uid',
    {
      schema: {
        ...common,
        summary: 'What is this user to me?',
        params: UID_PARAMS,
        response: { 200: BUDDY, ...PROBLEMS },
      },
    },
    async (request) => {
      const own = table.uidOf(gates.session(request));
      return buddyText(own, await uses.lists(own), readUid(request.params.uid));
    },
  );

  const change = (
    method: 'PUT' | 'DELETE',
    list: 'buddies' | 'blocked',
    action: 'add' | 'remove' | 'block' | 'unblock',
    summary: string,
  ): void => {
    app.route<Params>({
      method,
      url: `/v1/${list}/:uid`,
      schema: { ...common, summary, params: UID_PARAMS, response: { 200: CHANGED, ...PROBLEMS } },
      handler: async (request) => {
        const own = table.uidOf(gates.session(request));
        const outcome = await uses.buddy(own, action, readUid(request.params.uid));
        return { status: outcome === 'asked' ? 'asked' : 'ok' };
      },
    });
  };
  change('PUT', 'buddies', 'add', 'Add a buddy, ask for his consent, or give it to one who asks');
  change('DELETE', 'buddies', 'remove', 'Remove a buddy, take back what was asked, or decline');
  change('PUT', 'blocked', 'block', 'Block a user: he sees you offline');
  change('DELETE', 'blocked', 'unblock', 'Unblock a user');
}

function relationTo({ buddies, asked, asking }: Lists, uid: string): 'buddy' | 'asked' | 'asking' | 'none' {
  if (buddies.includes(uid)) return 'buddy';
  if (asked.includes(uid)) return 'asked';
  return asking.includes(uid) ? 'asking' : 'none';
}
