/** The words of the domain, shared by every layer. Plain data: no behaviour beyond the checks of a uid. */

/** An IP address and a port, as in `ip:port`; IPv6 text is compressed and without brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Who may see or reach something. `buddies` are those on the user's own buddy list. */
export const AUDIENCES = ['all', 'buddies', 'none'] as const;
export type Audience = (typeof AUDIENCES)[number];

export const STATUSES = ['online', 'busy', 'on-phone', 'away', 'invisible'] as const;
export type Status = (typeof STATUSES)[number];

/** none: open; weak: full cone; medium: restricted; strong: symmetric or blocked. */
export const FIREWALLS = ['none', 'weak', 'medium', 'strong'] as const;
export type Firewall = (typeof FIREWALLS)[number];

/** `wan`: the client's own address and the source of its datagrams agree. */
export const NETWORKS = ['wan', 'lan'] as const;
export type Network = (typeof NETWORKS)[number];

export interface BasicInfo {
  readonly alias: string;
  readonly avatar: string;
  /** Years; null where unknown. */
  readonly age: number | null;
  readonly gender: string;
  readonly country: string;
  readonly state: string;
  readonly city: string;
}

export interface Contact {
  readonly telephones: readonly string[];
  readonly mails: readonly string[];
  /** Who may see telephones and mails. The document's `friends` are `buddies` here. */
  readonly visibleTo: Audience;
}

export interface Service {
  readonly enabled: boolean;
  /** Epoch milliseconds; null where the account never expires. */
  readonly expiresAt: number | null;
  readonly mayCallOut: boolean;
  readonly mayBeCalledBy: Audience;
  /** 1–100. */
  readonly devicesMax: number;
  /** Who may see wan, local and telephone in the answer to a Locate. */
  readonly privacy: Audience;
}

/** Each target is a uid, a number or a URI; '' where there is none. */
export interface Forwarding {
  readonly always: string;
  readonly busy: string;
  readonly noAnswer: string;
  readonly noAnswerSeconds: number;
  readonly unreachable: string;
}

export const NO_FORWARDING: Forwarding = Object.freeze({
  always: '',
  busy: '',
  noAnswer: '',
  noAnswerSeconds: 20,
  unreachable: '',
});

export interface Lists {
  readonly buddies: readonly string[];
  readonly blocked: readonly string[];
  /** Uids whose consent this user waits for. */
  readonly asked: readonly string[];
  /** Uids who wait for this user's consent. */
  readonly asking: readonly string[];
}

export interface VoipAccount {
  readonly type: 'SIP' | 'H323';
  readonly enabled: boolean;
  /** `ip[:port];ip:port`, as the document shows it. */
  readonly servers: string;
  readonly e164: string;
  readonly outbound: string;
  /** At most 1,024 characters. */
  readonly property: string;
  readonly ttl: string;
  readonly password: string;
}

/** What proves that the user is who he says. Never logged, never in an admin answer. */
export interface Secret {
  /** As stored: plain text or `{SCHEME}…`; null where only a bind can check it. */
  readonly password: string | null;
  /** MD5 HA1 of RFC 7616 in the node's realm, lower-case hex; null where none is stored. */
  readonly ha1Md5: string | null;
  /** SHA-256 HA1, lower-case hex: the verifier H of the client protocol. */
  readonly ha1Sha256: string | null;
}

export interface User {
  readonly uid: string;
  /** The `ou` below `ou=users`; '' where the user stands in none. */
  readonly region: string;
  /** Of the region; '' where it has none. */
  readonly countryCode: string;
  readonly dn: string;
  readonly secret: Secret;
  readonly basic: BasicInfo;
  readonly contact: Contact;
  readonly service: Service;
  readonly forwarding: Forwarding;
  readonly lists: Lists;
  /** 0–8. */
  readonly voip: readonly VoipAccount[];
  /** XML fragment of at most 16 KiB; '' where there is none. */
  readonly xmlext: string;
}

export const VOIP_ACCOUNTS_MAX = 8;
export const FRAGMENT_BYTES_MAX = 16 * 1024;
export const LIST_ENTRIES_MAX = 1_000;

export interface Region {
  readonly name: string;
  /** Digits, or '' where the region has none. */
  readonly countryCode: string;
}

/** Where a user is, or was. Online means: `server` is not null. */
export interface Location {
  readonly server: { readonly name: string; readonly address: Address } | null;
  readonly network: Network | null;
  readonly wan: Address | null;
  readonly local: Address | null;
  /** Epoch milliseconds; null before the first login. */
  readonly loginAt: number | null;
  /** Epoch milliseconds of the last logout that was public; null before the first. */
  readonly logoutAt: number | null;
  /** The user is invisible: every node answers `Offline` for him. */
  readonly hidden: boolean;
  /** Rises by one at every login; 0 before the first. */
  readonly epoch: number;
}

export const NOWHERE: Location = Object.freeze({
  server: null,
  network: null,
  wan: null,
  local: null,
  loginAt: null,
  logoutAt: null,
  hidden: false,
  epoch: 0,
});

export const SERVER_STATES = ['on', 'draining', 'off'] as const;
export type ServerState = (typeof SERVER_STATES)[number];

export interface ServerRecord {
  readonly name: string;
  /** Where the client protocol is spoken. */
  readonly udp: Address;
  /** `http://host:port` or `https://host:port`. */
  readonly http: string;
  /** null where the node speaks no SIP. */
  readonly sip: Address | null;
  readonly state: ServerState;
  readonly users: number;
  readonly usersMax: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Epoch milliseconds; a record not renewed for 15 s counts as off. */
  readonly seenAt: number;
  /** Of the program; as build metadata (semver.org, item 10) what only other nodes are told. */
  readonly version: string;
}

/** 1–64 characters, none of them a space, a control character or `:` (DIRECTORY.md section 1). */
export function isUid(text: string): boolean {
  return text.length <= 128 && UID.test(text);
}
// \s covers the Unicode spaces too; a lone surrogate (\p{Cs}) could not be written as UTF-8.
const UID = /^[^\s:\p{Cc}\p{Cs}]{1,64}$/u;

/** What a user is who says nothing but his uid: the defaults of every field. */
export function userDefaults(uid: string): User {
  return {
    uid,
    region: '',
    countryCode: '',
    dn: '',
    secret: { password: null, ha1Md5: null, ha1Sha256: null },
    basic: { alias: '', avatar: '', age: null, gender: '', country: '', state: '', city: '' },
    contact: { telephones: [], mails: [], visibleTo: 'all' },
    service: {
      enabled: true,
      expiresAt: null,
      mayCallOut: true,
      mayBeCalledBy: 'all',
      devicesMax: 5,
      privacy: 'all',
    },
    forwarding: NO_FORWARDING,
    lists: { buddies: [], blocked: [], asked: [], asking: [] },
    voip: [],
    xmlext: '',
  };
}
