/** The table of settings: how each is called, read and explained. README's table is held equal to this one by a test. */
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import { DEFAULT_ATTRIBUTE_NAMES } from './directory/attribute-names.ts';

/** How one setting is called, read and explained; README's table is held equal to this one by a test. */
export interface Setting<T = unknown> {
  /** Path in the YAML file: `udp.port` is `port` below `udp`. */
  readonly path: string;
  readonly env: string;
  /** As the table shows it; '' where there is none. */
  readonly defaultText: string;
  readonly help: string;
  readonly secret?: boolean;
  readonly read: (text: string) => T;
  readonly fallback: T;
}

/** A value that a setting can't take; the message says what it can. */
export class Unfit extends Error {}

const text = (value: string): string => {
  if (/\p{Cc}/u.test(value)) throw new Unfit('must not hold control characters');
  return value;
};
const integer =
  (min: number, max: number) =>
  (value: string): number => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) throw new Unfit(`must be a number from ${min} to ${max}`);
    return number;
  };
const oneOf =
  <const T extends string>(...choices: readonly T[]) =>
  (value: string): T => {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw new Unfit(`must be one of: ${choices.join(', ')}`);
    return found;
  };
const flag = (value: string): boolean => {
  if (['on', 'true', 'yes', '1'].includes(value)) return true;
  if (['off', 'false', 'no', '0', ''].includes(value)) return false;
  throw new Unfit('must be on or off');
};
const host = (value: string): string => {
  if (isIP(value) === 0) throw new Unfit('must be an IP address');
  return value;
};
const list = (value: string): readonly string[] => value.split(/[\s,;]+/).filter((item) => item !== '');
const pairs = (value: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    list(value).map((item) => {
      const [key = '', name = ''] = item.split('=', 2);
      if (!(key in DEFAULT_ATTRIBUTE_NAMES)) throw new Unfit(`knows no field ${key} (docs/operations.md lists them)`);
      if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(name)) throw new Unfit(`must be field=attribute pairs: ${item}`);
      return [key, name];
    }),
  );
const realm = (value: string): string => {
  if (!/^[\x21\x23-\x39\x3b-\x5b\x5d-\x7e]{1,64}$/.test(value)) {
    throw new Unfit('must be 1 to 64 visible ASCII characters without : " and \\');
  }
  return value;
};
const port = integer(0, 65_535);
const natsServers = (value: string): string => {
  for (const server of value === '' ? [] : value.split(',')) {
    const url = URL.parse(server.trim());
    if (url === null || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') {
      throw new Unfit('must be nats://host:port, several separated by commas');
    }
  }
  return text(value);
};
/** RFC 7065 section 3.1. */
const turnUris = (value: string): readonly string[] => {
  const uris = list(value);
  const wrong = uris.find((uri) => !TURN_URI.test(uri));
  if (wrong !== undefined)
    throw new Unfit(`must be turn:host:port or turns:host:port, ?transport=udp or tcp: ${wrong}`);
  return uris;
};
const TURN_URI =
  /^turns?:(?:\[[\da-f:.]+\]|[a-z\d](?:[a-z\d.-]{0,253}[a-z\d])?)(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?$/i;

const setting = <T>(
  path: string,
  env: string,
  read: (text: string) => T,
  fallback: T,
  defaultText: string,
  help: string,
  secret = false,
): Setting<T> => ({ path, env: `VSERVER_${env}`, read, fallback, defaultText, help, secret });

export const SETTINGS = {
  name: setting('name', 'NAME', text, hostname(), 'host name', '`cn` in the server list'),
  listen: setting('listen', 'LISTEN', host, '127.0.0.1', '127.0.0.1', 'address all listeners bind'),
  advertise: setting(
    'advertise',
    'ADVERTISE',
    host,
    '',
    'listen address',
    'address told to clients and peers; required where the listen address is a wildcard',
  ),
  udpPort: setting(
    'udp.port',
    'UDP_PORT',
    port,
    4321,
    '4321',
    'port of the client protocol; 0 = pick a free one and print it',
  ),
  udpAltPort: setting(
    'udp.alt-port',
    'UDP_ALT_PORT',
    port,
    4322,
    '4322',
    'second port, which answers `Hello` for the firewall test',
  ),
  io: setting(
    'io',
    'IO',
    oneOf('auto', 'batch', 'dgram'),
    'auto',
    'auto',
    '`batch`: many datagrams a system call (Linux, koffi); `dgram`: one; `auto`: `batch` where it works',
  ),
  httpPort: setting('http.port', 'HTTP_PORT', port, 8080, '8080', 'port of the HTTP API'),
  httpCert: setting(
    'http.cert',
    'HTTP_CERT',
    text,
    '',
    '',
    'PEM file of the certificate chain: HTTPS instead of HTTP; a renewed file is taken without a restart',
  ),
  httpKey: setting('http.key', 'HTTP_KEY', text, '', '', 'PEM file of its key'),
  httpProxies: setting(
    'http.proxies',
    'HTTP_PROXIES',
    list,
    [],
    '',
    'addresses of reverse proxies whose X-Forwarded-For and -Proto are believed',
  ),
  httpInsecure: setting(
    'http.insecure',
    'HTTP_INSECURE',
    flag,
    false,
    'off',
    'on: passwords and tokens are taken over plain HTTP from anywhere',
  ),
  data: setting('data', 'DATA', text, 'data', 'data', 'folder of whatever the node keeps itself'),
  directory: setting(
    'directory',
    'DIRECTORY',
    text,
    '',
    'sqlite: in the data folder',
    '`sqlite:PATH`, `ldap://host:port/base-dn`, `ldaps://…` or `mysql://user:password@host/database`',
    true,
  ),
  directoryDeadline: setting(
    'directory-deadline',
    'DIRECTORY_DEADLINE',
    integer(50, 60_000),
    2_000,
    '2000',
    'milliseconds after which an operation of the directory is given up',
  ),
  state: setting(
    'state',
    'STATE',
    text,
    '',
    '',
    'a second, writable directory for a directory that is read-only',
    true,
  ),
  baseDn: setting(
    'base-dn',
    'BASE_DN',
    text,
    'dc=netbbq,dc=com',
    'dc=netbbq,dc=com',
    'base DN of an embedded or MySQL directory, as LDIF shows it',
  ),
  ldapBindDn: setting('ldap.bind-dn', 'LDAP_BIND_DN', text, '', '', 'DN as which the node binds'),
  ldapPassword: setting('ldap.password', 'LDAP_PASSWORD', text, '', '', 'its password', true),
  ldapStartTls: setting('ldap.start-tls', 'LDAP_START_TLS', flag, false, 'off', 'on: StartTLS before anything else'),
  ldapCa: setting(
    'ldap.ca',
    'LDAP_CA',
    text,
    '',
    "the system's",
    'PEM file of the certificate authority for StartTLS and ldaps',
  ),
  ldapReplicas: setting(
    'ldap.replicas',
    'LDAP_REPLICAS',
    list,
    [],
    '',
    'replicas of the LDAP directory, `ldap://host:port` each, that are read from where that may be a little old',
  ),
  ldapUserFilter: setting(
    'ldap.user-filter',
    'LDAP_USER_FILTER',
    text,
    '(uid=*)',
    '(uid=*)',
    'which entries are users',
  ),
  ldapUsersBase: setting(
    'ldap.users-base',
    'LDAP_USERS_BASE',
    text,
    '',
    'ou=users below the base DN',
    'where the users are',
  ),
  ldapAttributes: setting(
    'ldap.attributes',
    'LDAP_ATTRIBUTES',
    pairs,
    {},
    '',
    'other attribute names, as `field=attribute` pairs (docs/operations.md lists the fields)',
  ),
  ldapReadOnly: setting('ldap.read-only', 'LDAP_READ_ONLY', flag, false, 'off', 'on: nothing is ever written there'),
  sipPort: setting('sip.port', 'SIP_PORT', port, 5060, '5060', 'port of SIP over UDP and TCP'),
  sipTlsPort: setting(
    'sip.tls-port',
    'SIP_TLS_PORT',
    port,
    5061,
    '5061',
    'port of SIP over TLS; opened where a certificate is set (`http.cert`)',
  ),
  sipDomains: setting(
    'sip.domains',
    'SIP_DOMAINS',
    list,
    [],
    '',
    'SIP domains of this node, besides the realm and its addresses',
  ),
  sipExpiresMin: setting(
    'sip.expires-min',
    'SIP_EXPIRES_MIN',
    integer(1, 3_600),
    60,
    '60',
    'seconds; shorter SIP registrations are refused',
  ),
  sipExpiresMax: setting(
    'sip.expires-max',
    'SIP_EXPIRES_MAX',
    integer(2, 28_800),
    300,
    '300',
    'seconds; longer SIP registrations, and those that say nothing, last so long',
  ),
  sipDigest: setting(
    'sip.digest',
    'SIP_DIGEST',
    oneOf('both', 'md5', 'sha-256'),
    'both',
    'both',
    'Digest for SIP: `both` (SHA-256, MD5), `md5` (for phones that give up at two) or `sha-256`',
  ),
  sipAnonymous: setting(
    'sip.anonymous',
    'SIP_ANONYMOUS',
    oneOf('', 'redirect'),
    '',
    '',
    '`redirect`: SIP callers who are not registered are redirected without a challenge',
  ),
  sipCalls: setting(
    'sip.calls',
    'SIP_CALLS',
    oneOf('auto', 'redirect', 'proxy'),
    'auto',
    'auto',
    '`redirect` calls (302), `proxy` them, or `auto`: the 302 where both sides are on UDP, without NAT',
  ),
  realm: setting('realm', 'REALM', realm, 'vserver', 'vserver', 'digest realm and SIP domain'),
  usersMax: setting(
    'users-max',
    'MAX_USERS',
    integer(1, 10_000_000),
    100_000,
    '100000',
    'above it logins are redirected',
  ),
  heartbeat: setting('heartbeat', 'HEARTBEAT', integer(1, 3_600), 30, '30', 'seconds between heartbeats'),
  expires: setting('expires', 'EXPIRES', integer(2, 28_800), 90, '90', 'seconds of silence after which a session ends'),
  loginDatagram: setting(
    'login.datagram',
    'LOGIN_DATAGRAM',
    flag,
    true,
    'on',
    'off: logins over HTTP only; a datagram login is answered `Error 426`',
  ),
  configPasswords: setting(
    'config.datagram-passwords',
    'CONFIG_DATAGRAM_PASSWORDS',
    flag,
    false,
    'off',
    'on: the CONFIG sent by datagrams holds the passwords of the VOIP accounts',
  ),
  turnUris: setting(
    'turn.uris',
    'TURN_URIS',
    turnUris,
    [],
    '',
    'TURN servers for the CONFIG, as `turn:host:port?transport=udp` or `turns:…`, the preferred one first',
  ),
  turnSecret: setting(
    'turn.secret',
    'TURN_SECRET',
    text,
    '',
    '',
    'the `static-auth-secret` of these coturn servers',
    true,
  ),
  turnLifetime: setting(
    'turn.lifetime',
    'TURN_LIFETIME',
    integer(600, 604_800),
    86_400,
    '86400',
    'seconds that TURN credentials are good for; a CONFIG holds them for half of it',
  ),
  adminToken: setting('admin-token', 'ADMIN_TOKEN', text, '', 'generated in the data folder', 'opens /v1/admin', true),
  clusterKey: setting(
    'cluster-key',
    'CLUSTER_KEY',
    text,
    '',
    'generated in the data folder',
    'signs tickets between nodes; must be set where there are several',
    true,
  ),
  rateLimit: setting(
    'rate-limit',
    'RATE_LIMIT',
    integer(0, 1_000_000),
    100,
    '100',
    'unauthenticated requests a second a source, 50 at least; 0 = no limit',
  ),
  locateMode: setting(
    'locate.mode',
    'LOCATE_MODE',
    oneOf('see-also', 'full'),
    'see-also',
    'see-also',
    '`full`: a node asks the owner of a user over the bus instead of sending the client there',
  ),
  nats: setting(
    'nats',
    'NATS',
    natsServers,
    '',
    '',
    '`nats://host:port`: the bus of a cluster; several NATS servers separated by commas',
    true,
  ),
  logLevel: setting(
    'log.level',
    'LOG_LEVEL',
    oneOf('debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'info',
    'what goes into the log',
  ),
} as const;
