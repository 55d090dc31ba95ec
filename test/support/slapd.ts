/** A real slapd in a temporary folder on loopback, with the schema and the indexes of ldif/. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, listens, standStill } from './programs.ts';

const LDIF = fileURLToPath(new URL('../../ldif', import.meta.url));
export const SUFFIX = 'dc=netbbq,dc=com';
export const ROOT_DN = `cn=admin,${SUFFIX}`;
export const ROOT_PASSWORD = 'admin-secret';
/** The tree of a server that knows nothing of vserver, and who may read it. */
export const PLAIN_SUFFIX = 'dc=example,dc=org';
export const READER_DN = `cn=reader,${PLAIN_SUFFIX}`;
/** Entries that the plain server gives for one search. */
export const PLAIN_SIZE_LIMIT = 20;

export interface Slapd {
  /** `ldap://127.0.0.1:port/dc=netbbq,dc=com`, or with PLAIN_SUFFIX. */
  readonly url: string;
  readonly ldapsUrl: string;
  /** PEM file of the self-signed certificate. */
  readonly certificate: string;
  /** ldapadd with LDIF text or a file, by ROOT_DN if no other; throws with its message where it fails. */
  add(ldif: { readonly text: string } | { readonly file: string }, bindDn?: string): void;
  kill(): Promise<void>;
  restart(): Promise<void>;
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

export interface SlapdOptions {
  readonly plain?: boolean;
  readonly cnConfig?: boolean;
  /** It serves replicas. */
  readonly isProvider?: boolean;
  /** `ldap://127.0.0.1:port` of its provider: it is a replica. */
  readonly replicaOf?: string;
  /** To whom a replica refers writes. */
  readonly refersTo?: string;
}

/**
 * `cnConfig`: configured by cn=config, which ROOT_PASSWORD may write, and without our schema yet.
 * `plain`: no schema of ours, nothing for the anonymous, and READER_DN may read all but passwords, and not write.
 */
export async function startSlapd(options: SlapdOptions = {}): Promise<Slapd> {
  const binary = ['/usr/sbin/slapd', '/usr/lib/openldap/slapd', '/usr/local/libexec/slapd'].find((path) =>
    existsSync(path),
  );
  if (binary === undefined) throw new Error('slapd is missing: apt-get install slapd ldap-utils');
  const folder = mkdtempSync(join(tmpdir(), 'vserver-slapd-'));
  const certificate = makeCertificate(folder);
  const plain = options.plain === true;
  const suffix = plain ? PLAIN_SUFFIX : SUFFIX;
  const data = join(folder, 'data');
  mkdirSync(data);
  const config =
    options.cnConfig === true
      ? writeCnConfig(folder, join(dirname(binary), 'slapadd'))
      : writeConfig(folder, options, suffix);
  const [port, tlsPort] = [await freePort(), await freePort()];
  const urls = `ldap://127.0.0.1:${port}/ ldaps://127.0.0.1:${tlsPort}/`;
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    child = spawn(binary, ['-d', '0', ...config, '-h', urls], { stdio: 'ignore' });
    await listens(child, port);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGCONT');
    running.kill(signal);
    await ended;
  };
  await start();

  return {
    url: `ldap://127.0.0.1:${port}/${suffix}`,
    ldapsUrl: `ldaps://127.0.0.1:${tlsPort}/${suffix}`,
    certificate,
    add(ldif, bindDn = `cn=admin,${suffix}`) {
      const source = 'file' in ldif ? ['-f', ldif.file] : [];
      const args = ['-x', '-H', `ldap://127.0.0.1:${port}`, '-D', bindDn, '-w', ROOT_PASSWORD, ...source];
      const { status, stderr } = spawnSync('ldapadd', args, {
        input: 'text' in ldif ? ldif.text : '',
        encoding: 'utf8',
        // A line an entry goes to stdout, which nobody reads: of 100,000 it would be too much to keep.
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      if (status !== 0) throw new Error(`ldapadd: ${stderr}`);
    },
    kill: () => end('SIGKILL'),
    async restart() {
      await end('SIGTERM');
      await start();
    },
    pause: async () => child && standStill(child),
    resume: () => void child?.kill('SIGCONT'),
    async stop() {
      await end('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function writeConfig(folder: string, options: SlapdOptions, suffix: string): string[] {
  const plain = options.plain === true;
  const schemas = ['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`);
  if (!plain) schemas.push(`include ${join(LDIF, 'vserver.schema')}`);
  const config = [
    ...schemas,
    `pidfile ${join(folder, 'slapd.pid')}`,
    'modulepath /usr/lib/ldap',
    'moduleload back_mdb',
    ...(options.isProvider === true ? ['moduleload syncprov'] : []),
    `TLSCertificateFile ${join(folder, 'cert.pem')}`,
    `TLSCertificateKeyFile ${join(folder, 'key.pem')}`,
    plain ? `sizelimit ${PLAIN_SIZE_LIMIT}` : 'sizelimit unlimited',
    ...(plain ? ['disallow bind_anon', 'require authc'] : []),
    'database mdb',
    `suffix "${suffix}"`,
    `rootdn "cn=admin,${suffix}"`,
    `rootpw ${ROOT_PASSWORD}`,
    `directory ${join(folder, 'data')}`,
    'maxsize 1073741824',
    // A test needs no durability.
    'dbnosync',
    'index objectClass eq',
    'index uid eq,pres,sub',
    ...(plain ? [] : ['index vsServer eq']),
    'index displayName,telephoneNumber,mail eq,sub',
    'index entryCSN,entryUUID eq',
    ...syncrepl(options),
    'access to attrs=userPassword by anonymous auth by * none',
    plain ? `access to * by dn.exact="${READER_DN}" read by * none` : 'access to * by * read',
    // After the database, as overlays are.
    ...(options.isProvider === true ? ['overlay syncprov', 'syncprov-sessionlog 10000'] : []),
  ];
  const file = join(folder, 'slapd.conf');
  writeFileSync(file, `${config.join('\n')}\n`, { mode: 0o600 });
  return ['-f', file];
}

/** RFC 4533, as OpenLDAP does it: all at first, and then each change when it is made. */
function syncrepl({ replicaOf, refersTo }: SlapdOptions): string[] {
  if (replicaOf === undefined) return [];
  const bind = `bindmethod=simple binddn="${ROOT_DN}" credentials=${ROOT_PASSWORD}`;
  const line = `syncrepl rid=001 provider=${replicaOf} ${bind} searchbase="${SUFFIX}" type=refreshAndPersist retry="1 +"`;
  return [line, ...(refersTo === undefined ? [] : [`updateref ${refersTo}`])];
}

function writeCnConfig(folder: string, slapadd: string): string[] {
  const [file, target] = [join(folder, 'config.ldif'), join(folder, 'slapd.d')];
  mkdirSync(target);
  const schemas = ['core', 'cosine', 'inetorgperson'].map((name) => `include: file:///etc/ldap/schema/${name}.ldif`);
  const entries = [
    'dn: cn=config\nobjectClass: olcGlobal\ncn: config',
    'dn: cn=module{0},cn=config\nobjectClass: olcModuleList\nolcModulePath: /usr/lib/ldap\nolcModuleLoad: back_mdb',
    'dn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema',
    ...schemas,
    `dn: olcDatabase={0}config,cn=config\nobjectClass: olcDatabaseConfig\nolcRootPW: ${ROOT_PASSWORD}`,
    [
      'dn: olcDatabase={1}mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig',
      `olcSuffix: ${SUFFIX}\nolcRootDN: ${ROOT_DN}\nolcRootPW: ${ROOT_PASSWORD}`,
      `olcDbDirectory: ${join(folder, 'data')}\nolcDbIndex: uid eq,pres,sub`,
    ].join('\n'),
  ];
  writeFileSync(file, `${entries.join('\n\n')}\n`, { mode: 0o600 });
  execFileSync(slapadd, ['-n', '0', '-F', target, '-l', file], { stdio: 'pipe' });
  return ['-F', target];
}

function makeCertificate(folder: string): string {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost';
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const files = ['-keyout', key, '-out', certificate, '-subj', '/CN=localhost', '-addext', names];
  execFileSync('openssl', [...args, ...files], { stdio: 'ignore' });
  return certificate;
}
