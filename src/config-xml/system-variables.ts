/** The SYSTEM part of every CONFIG document: the variables of the directory and the live server list, as last read. */
import { formatAddress } from '../base/address.ts';
import type { Address, ServerRecord } from '../base/model.ts';
import type { Log } from '../base/ports.ts';
import type { Directory } from '../directory/directory.ts';
import { renderSystem } from './render.ts';
import type { RenderedPart } from './render.ts';

const NAMES_MAX = 256;
const NAME_CHARACTERS_MAX = 128;
const VALUE_CHARACTERS_MAX = 4096;
const SERVERS_LISTED_MAX = 16;

export interface SystemVariables {
  /** Reads all variables anew. Rejects where the directory can't be asked; the last good image then stays. */
  refresh(): Promise<void>;
  /** Takes a changed server list into the image, without a look at the directory. */
  relist(): void;
  /** The SYSTEM part as of the last refresh; the same object until its text changes. Empty before the first one. */
  current(): RenderedPart;
}

interface Stored {
  /** In the order of the list; null where a name in it is not set. */
  readonly values: ReadonlyMap<string, string | null>;
  readonly extension: string;
}

/** `servers`: those that run, in any order. */
export function systemVariables(options: {
  directory: Pick<Directory, 'variable'>;
  servers: () => readonly ServerRecord[];
  log: Log;
}): SystemVariables {
  const { directory, servers, log } = options;
  let stored: Stored = { values: new Map(), extension: '' };
  let image: RenderedPart = renderSystem(new Map(), '');
  let running: Promise<void> | null = null;

  const relist = (): void => {
    const next = renderSystem(withServers(stored.values, servers()), stored.extension);
    if (next.text === image.text && next.rejected === image.rejected) return;
    image = next;
    if (next.rejected !== null) log.warn({ reason: next.rejected }, 'SYSTEM_EXT is not acceptable and was left out');
  };
  const read = async (): Promise<void> => {
    stored = await readStored(directory, log);
    relist();
  };

  return {
    refresh() {
      running ??= read().finally(() => {
        running = null;
      });
      return running;
    },
    relist,
    current: () => image,
  };
}

/** The two-step reading of DIRECTORY.md section 5: the list of names, then each of them, one by one. */
async function readStored(directory: Pick<Directory, 'variable'>, log: Log): Promise<Stored> {
  const names = namesIn((await directory.variable('SystemVariables')) ?? '');
  if (names.length > NAMES_MAX)
    log.warn({ names: names.length, namesMax: NAMES_MAX }, 'too many names in SystemVariables');
  const values = new Map<string, string | null>();
  for (const name of names.slice(0, NAMES_MAX)) {
    const value = name.length > NAME_CHARACTERS_MAX ? null : await directory.variable(name);
    if (name.length > NAME_CHARACTERS_MAX || (value !== null && value.length > VALUE_CHARACTERS_MAX)) {
      log.warn({ name: name.slice(0, NAME_CHARACTERS_MAX) }, 'system variable too long, left out');
    } else values.set(name, value);
  }
  return { values, extension: (await directory.variable('SYSTEM_EXT')) ?? '' };
}

function namesIn(list: string): string[] {
  const names = list.split(';').map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== '');
}

/** Variables that are not set: the two server lists are made from the servers that run, all others are empty. */
function withServers(
  values: ReadonlyMap<string, string | null>,
  servers: readonly ServerRecord[],
): ReadonlyMap<string, string> {
  const filled = new Map<string, string>();
  for (const [name, value] of values) filled.set(name, value ?? madeFrom(name, servers));
  return filled;
}

function madeFrom(name: string, servers: readonly ServerRecord[]): string {
  if (name !== 'VFON_SERVER' && name !== 'SIP_SERVER') return '';
  return [...servers]
    .sort((a, b) => loadStep(a) - loadStep(b) || (a.name < b.name ? -1 : 1))
    .map((server): Address | null => (name === 'VFON_SERVER' ? server.udp : server.sip))
    .filter((address) => address !== null)
    .slice(0, SERVERS_LISTED_MAX)
    .map(formatAddress)
    .join(';');
}

/** In tenths, so that the document and its ETag don't change with every login. */
function loadStep({ users, usersMax }: ServerRecord): number {
  return usersMax > 0 ? Math.min(10, Math.floor((10 * users) / usersMax)) : 10;
}
