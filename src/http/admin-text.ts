/** Users as administrators see and write them. No secret goes out: not the password, no verifier, no VOIP password. */
import type { User, VoipAccount } from '../base/model.ts';
import { AUDIENCES, FRAGMENT_BYTES_MAX, LIST_ENTRIES_MAX, userDefaults, VOIP_ACCOUNTS_MAX } from '../base/model.ts';
import type { UserChanges } from '../directory/directory.ts';
import { closed, INTEGER, PASSWORD, STRING, UID_TEXT } from './schemas.ts';

// The directory checks every record by itself (422); here only type and size are bounded.
const line = (maxLength: number) => ({ type: 'string', maxLength }) as const;
const AUDIENCE = { type: 'string', enum: AUDIENCES } as const;
const BOOLEAN = { type: 'boolean' } as const;
const MAYBE_INTEGER = { type: ['integer', 'null'] } as const;
const UIDS = { type: 'array', maxItems: LIST_ENTRIES_MAX, items: line(64) } as const;
/** Readers of the client protocol would take one with a `;` for two. */
const NUMBERS = {
  type: 'array',
  maxItems: 16,
  items: { ...line(254), pattern: '^[^;]*$', description: 'one number each, without ;' },
} as const;
const CONTACTS = { type: 'array', maxItems: 16, items: line(254) } as const;

const GROUPS = {
  basic: closed(
    {
      alias: line(128),
      avatar: line(1024),
      age: MAYBE_INTEGER,
      gender: line(32),
      country: line(128),
      state: line(128),
      city: line(128),
    },
    [],
  ),
  contact: closed({ telephones: NUMBERS, mails: CONTACTS, visibleTo: AUDIENCE }, []),
  service: closed(
    {
      enabled: BOOLEAN,
      expiresAt: { ...MAYBE_INTEGER, description: 'epoch milliseconds; null: never' },
      mayCallOut: BOOLEAN,
      mayBeCalledBy: AUDIENCE,
      devicesMax: INTEGER,
      privacy: AUDIENCE,
    },
    [],
  ),
  forwarding: closed(
    { always: line(256), busy: line(256), noAnswer: line(256), noAnswerSeconds: INTEGER, unreachable: line(256) },
    [],
  ),
  lists: closed({ buddies: UIDS, blocked: UIDS, asked: UIDS, asking: UIDS }, []),
  xmlext: line(FRAGMENT_BYTES_MAX),
} as const;

const ACCOUNT = {
  type: { type: 'string', enum: ['SIP', 'H323'] },
  enabled: BOOLEAN,
  servers: line(1024),
  e164: line(64),
  outbound: line(256),
  property: line(1024),
  ttl: line(16),
} as const;

const VOIP = {
  type: 'array',
  maxItems: VOIP_ACCOUNTS_MAX,
  items: closed({ ...ACCOUNT, password: { ...line(256), description: 'absent: stays as it is' } }, ['type']),
} as const;

/** Body of a PATCH. */
export const CHANGES = closed({ ...GROUPS, voip: VOIP, password: PASSWORD }, []);

/** Body of a POST. */
export const NEW_USER = closed(
  { ...GROUPS, voip: VOIP, password: PASSWORD, uid: UID_TEXT, region: line(64), countryCode: line(4) },
  ['uid'],
);

/** What goes out. */
export const USER = closed(
  {
    uid: STRING,
    region: STRING,
    countryCode: STRING,
    dn: STRING,
    hasPassword: BOOLEAN,
    scheme: { type: 'string', description: 'plain, the {SCHEME}, or none' },
    hasVerifiers: BOOLEAN,
    ...GROUPS,
    voip: { type: 'array', items: closed({ ...ACCOUNT, hasPassword: BOOLEAN }, []) },
  },
  [],
);

type AccountBody = { type: 'SIP' | 'H323' } & Partial<VoipAccount>;

export interface ChangesBody extends Omit<UserChanges, 'secret' | 'voip'> {
  voip?: AccountBody[];
  password?: string;
}

export interface NewUserBody extends ChangesBody {
  uid: string;
  region?: string;
  countryCode?: string;
}

export function userText(user: User): object {
  const { secret, voip, ...open } = user;
  return {
    ...open,
    hasPassword: secret.password !== null && secret.password !== '',
    scheme: schemeOf(secret.password),
    hasVerifiers: secret.ha1Sha256 !== null,
    voip: voip.map(({ password, ...account }) => ({ ...account, hasPassword: password !== '' })),
  };
}

function schemeOf(password: string | null): string {
  if (password === null || password === '') return 'none';
  return /^\{([^{}\s]{1,32})\}/.exec(password)?.[1]?.toUpperCase() ?? 'plain';
}

export function newUser(body: NewUserBody): User {
  const plain = userDefaults(body.uid);
  return {
    ...plain,
    region: body.region ?? '',
    countryCode: body.countryCode ?? '',
    basic: { ...plain.basic, ...body.basic },
    contact: { ...plain.contact, ...body.contact },
    service: { ...plain.service, ...body.service },
    forwarding: { ...plain.forwarding, ...body.forwarding },
    lists: { ...plain.lists, ...body.lists },
    voip: accountsOf(body.voip ?? [], []),
    xmlext: body.xmlext ?? '',
  };
}

/** `before`: the accounts as stored, whose passwords stay where the body names none, since no answer ever shows them. */
export function accountsOf(accounts: readonly AccountBody[], before: readonly VoipAccount[]): VoipAccount[] {
  return accounts.map((account) => {
    const stored = before.find((one) => one.type === account.type && one.e164 === (account.e164 ?? ''));
    return {
      enabled: true,
      servers: '',
      e164: '',
      outbound: '',
      property: '',
      ttl: '',
      password: stored?.password ?? '',
      ...account,
    };
  });
}
