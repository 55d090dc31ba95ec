/** The CONFIG document of a user, from cached parts: rendered again only when his record or the SYSTEM part changed. */
import type { Counters } from '../base/counters.ts';
import type { Clock, Log } from '../base/ports.ts';
import type { Entry } from '../directory/directory.ts';
import type { Records } from '../directory/records.ts';
import { configDocument } from './document.ts';
import type { ConfigDocument } from './document.ts';
import type { RenderedPart } from './render.ts';
import { renderPrivate } from './render.ts';
import type { SystemVariables } from './system-variables.ts';
import type { TurnSettings } from './turn.ts';
import { turnExpiryS } from './turn.ts';

/** How old a record may be; a change is noticed sooner where the user is online or it was made through this node. */
const AGE_MS_MAX = 30_000;

interface Rendered {
  readonly system: RenderedPart;
  /** Of the TURN credentials in it, epoch seconds; 0 where there are none. */
  readonly turnExpiryS: number;
  readonly document: ConfigDocument;
}

export interface UserConfigDeps {
  readonly records: Records;
  readonly variables: SystemVariables;
  readonly counters: Counters;
  readonly log: Log;
  readonly clock: Clock;
  /** null where no TURN server is set. */
  readonly turn: TurnSettings | null;
}

export interface UserConfigs {
  /** From memory; undefined where the user's record is not there or too old. */
  configHere(uid: string, withPasswords: boolean): ConfigDocument | undefined;
  /** null where there is no such user; rejects with DIRECTORY_UNAVAILABLE. */
  config(uid: string, withPasswords: boolean): Promise<ConfigDocument | null>;
}

export function userConfigs(deps: UserConfigDeps): UserConfigs {
  // Documents live as long as the record that they were made from is in its cache.
  const caches = { with: new WeakMap<Entry, Rendered>(), without: new WeakMap<Entry, Rendered>() };

  const documentOf = (entry: Entry, withPasswords: boolean): ConfigDocument => {
    const cache = withPasswords ? caches.with : caches.without;
    const system = deps.variables.current();
    const { turn: settings, clock } = deps;
    const expiryS = settings === null ? 0 : turnExpiryS(settings, Math.floor(clock.now() / 1000));
    const cached = cache.get(entry);
    if (cached?.system === system && cached.turnExpiryS === expiryS) return cached.document;
    const turn = settings === null ? null : { settings, expiryS };
    const personal = renderPrivate(entry.user, { withPasswords, turn });
    if (personal.rejected !== null) {
      deps.counters.fragmentsRejected++;
      deps.log.warn(
        { uid: entry.user.uid, reason: personal.rejected },
        'xmlext is not acceptable and was left out of the CONFIG',
      );
    }
    const document = configDocument(system, personal);
    cache.set(entry, { system, turnExpiryS: expiryS, document });
    return document;
  };

  return {
    configHere(uid, withPasswords) {
      const entry = deps.records.known(uid, AGE_MS_MAX);
      return entry === undefined ? undefined : documentOf(entry, withPasswords);
    },
    async config(uid, withPasswords) {
      const entry = await deps.records.get(uid, AGE_MS_MAX);
      return entry === null ? null : documentOf(entry, withPasswords);
    },
  };
}
