/** Settings: environment over file over defaults, checked field by field and then across fields → one frozen Config. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { isWildcard } from './base/address.ts';
import { VserverError } from './base/errors.ts';
import type { TurnSettings } from './config-xml/turn.ts';
import { Unfit } from './setting-readers.ts';
import { SETTINGS } from './settings.ts';

type Values = { readonly [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K]['fallback'] };

/** All settings, checked and frozen. `advertise`, `directory` have their derived defaults. */
export type Config = Values;

/** A mistake in the settings. */
export interface SettingProblem {
  /** The path of the setting that is wrong; '' where it is none that we know. */
  readonly path: string;
  /** Names the setting as it was given. */
  readonly text: string;
}

interface Given {
  readonly text: string;
  /** For messages. */
  readonly from: string;
  readonly source: 'environment' | 'file' | 'override';
}

export interface ReadSettings {
  /** With the default in place of what is wrong; not to be run with where there is a problem. */
  readonly config: Config;
  /** By path, what is not left at its default. */
  readonly given: ReadonlyMap<string, Given>;
  readonly problems: readonly SettingProblem[];
}

/**
 * Reads the settings of `file` (YAML; none where undefined) and `environment`, which wins.
 * Throws SETTINGS with one line a mistake, each naming its key; unknown keys are mistakes.
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>>,
  file?: string,
  overrides: Readonly<Record<string, string>> = {},
): Config {
  const { config, problems } = readSettings(environment, file, overrides);
  if (problems.length > 0) throw new VserverError('SETTINGS', problems.map(({ text }) => text).join('\n'));
  return config;
}

/** The same with all mistakes instead of an error; throws SETTINGS only where the file can't be read. */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>>,
  file?: string,
  overrides: Readonly<Record<string, string>> = {},
): ReadSettings {
  const problems: SettingProblem[] = [];
  const given = new Map<string, Given>();
  if (file !== undefined) readYaml(file, given, problems);
  readEnvironment(environment, given, problems);
  for (const [path, text] of Object.entries(overrides)) given.set(path, { text, from: path, source: 'override' });

  const values: Record<string, unknown> = {};
  for (const [key, { path, read, fallback }] of Object.entries(SETTINGS)) {
    const found = given.get(path);
    values[key] = fallback;
    if (found === undefined) continue;
    try {
      values[key] = read(found.text);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      problems.push({ path, text: `${found.from} ${error.message}` });
    }
  }
  const config = values as Values;
  const derived: Config = {
    ...config,
    advertise: config.advertise === '' ? config.listen : config.advertise,
    directory: config.directory === '' ? `sqlite:${join(config.data, 'vserver.db')}` : config.directory,
  };
  problems.push(...contradictions(config, derived));
  return { config: Object.freeze(derived), given, problems };
}

/** What a CONFIG says of TURN servers; null where none is set. */
export function turnSettings({
  turnUris: uris,
  turnSecret: secret,
  turnLifetime: lifetimeS,
}: Config): TurnSettings | null {
  return uris.length === 0 ? null : { uris, secret, lifetimeS };
}

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  given: Map<string, Given>,
  problems: SettingProblem[],
): void {
  const known = new Map(Object.values(SETTINGS).map((one) => [one.env, one.path]));
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('VSERVER_') || value === undefined) continue;
    const path = known.get(name);
    if (path === undefined)
      problems.push({ path: '', text: `${name} is no setting${nearest(name, [...known.keys()])}` });
    else given.set(path, { text: value, from: name, source: 'environment' });
  }
}

function readYaml(file: string, given: Map<string, Given>, problems: SettingProblem[]): void {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new VserverError('SETTINGS', `${file}: ${error instanceof Error ? error.message : 'unreadable'}`, {
      cause: error,
    });
  }
  const known = new Set<string>(Object.values(SETTINGS).map((one) => one.path));
  const walk = (node: unknown, path: string): void => {
    if (path !== '' && (known.has(path) || typeof node !== 'object' || node === null)) {
      if (known.has(path)) given.set(path, { text: flatten(node), from: `${file}: ${path}`, source: 'file' });
      else problems.push({ path: '', text: `${file}: ${path} is no setting${nearest(path, [...known])}` });
      return;
    }
    if (node === null || node === undefined) return;
    if (typeof node !== 'object' || Array.isArray(node)) {
      problems.push({ path: '', text: `${file}: the file must hold key: value pairs` });
      return;
    }
    for (const [key, value] of Object.entries(node)) walk(value, path === '' ? key : `${path}.${key}`);
  };
  walk(document, '');
}

/** A list or a mapping as the text that the environment would hold. */
function flatten(node: unknown): string {
  if (Array.isArray(node)) return node.map(String).join(',');
  if (typeof node === 'object' && node !== null) {
    return Object.entries(node)
      .map(([key, value]) => `${key}=${String(value)}`)
      .join(',');
  }
  return typeof node === 'string' || typeof node === 'number' || typeof node === 'boolean' ? String(node) : '';
}

function contradictions(config: Values, derived: Config): SettingProblem[] {
  const problems: SettingProblem[] = [];
  const named = (key: keyof typeof SETTINGS): string => SETTINGS[key].env;
  const wrong = (key: keyof typeof SETTINGS, text: string): void =>
    void problems.push({ path: SETTINGS[key].path, text });
  if (config.expires <= config.heartbeat) {
    wrong(
      'expires',
      `${named('expires')} (${config.expires}) must be more than ${named('heartbeat')} (${config.heartbeat})`,
    );
  }
  if (config.sipExpiresMax < config.sipExpiresMin) {
    wrong(
      'sipExpiresMax',
      `${named('sipExpiresMax')} (${config.sipExpiresMax}) must not be less than ${named('sipExpiresMin')} (${config.sipExpiresMin})`,
    );
  }
  if (config.sipPort !== 0 && config.sipPort === config.sipTlsPort) {
    wrong('sipTlsPort', `${named('sipTlsPort')} must differ from ${named('sipPort')}`);
  }
  if (isWildcard(derived.advertise)) {
    wrong('advertise', `${named('advertise')} must be set where ${named('listen')} is a wildcard`);
  }
  if (config.udpPort !== 0 && config.udpPort === config.udpAltPort) {
    wrong('udpAltPort', `${named('udpAltPort')} must differ from ${named('udpPort')}`);
  }
  if ((config.httpCert === '') !== (config.httpKey === '')) {
    wrong('httpCert', `${named('httpCert')} and ${named('httpKey')} go together`);
  }
  if ((config.turnUris.length === 0) !== (config.turnSecret === '')) {
    wrong('turnUris', `${named('turnUris')} and ${named('turnSecret')} go together`);
  }
  for (const key of ['directory', 'state'] as const) {
    const url = derived[key];
    if (url !== '' && !/^(sqlite:|ldaps?:\/\/|mysql:\/\/)./.test(url)) {
      wrong(key, `${named(key)} must begin with sqlite:, ldap://, ldaps:// or mysql://`);
    }
  }
  const ldap = [derived.directory, ...config.ldapReplicas];
  if (config.ldapStartTls && ldap.some((url) => url.startsWith('ldaps://'))) {
    wrong('ldapStartTls', `${named('ldapStartTls')} does not go with ldaps://`);
  }
  if (config.ldapReplicas.some((url) => !/^ldaps?:\/\/[^/]+\/?$/.test(url) || !URL.canParse(url))) {
    wrong('ldapReplicas', `${named('ldapReplicas')} must be addresses like ldap://host:port, without a base DN`);
  }
  if (config.ldapReplicas.length > 0 && !derived.directory.startsWith('ldap')) {
    wrong('ldapReplicas', `${named('ldapReplicas')} go with a directory in LDAP`);
  }
  if (config.nats !== '' && config.clusterKey === '') {
    wrong('clusterKey', `${named('clusterKey')} must be set in a cluster, the same on every node`);
  }
  for (const key of ['clusterKey', 'adminToken'] as const) {
    if (config[key] !== '' && config[key].length < 16) wrong(key, `${named(key)} must have 16 characters at least`);
  }
  return problems;
}

/** `, did you mean …?` where one known name is a few letters away; of a short one that would be another word. */
function nearest(name: string, known: readonly string[]): string {
  const letters = name.replace(/^VSERVER_/, '').length;
  const close = letters < 4 ? undefined : known.find((other) => distance(name, other) <= 2);
  return close === undefined ? '' : `, did you mean ${close}?`;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
