/** What a node does by the clock. */
import { isUnavailable, VserverError } from './base/errors.ts';
import type { Timer } from './base/ports.ts';
import type { Core, CorePorts } from './core.ts';
import { RENEWAL_MS } from './redirect/servers.ts';

const VARIABLES_MS = 60_000;
const OLD_MESSAGES_MS = 60_000;
const SECOND_MS = 1_000;

/** What of the start has to wait where the directory is away. */
export interface Beginning {
  readonly begun: () => boolean;
  /** Tries it. Rejects with SETTINGS where this node may not run on the directory. */
  readonly begin: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export function startRounds(core: Core, { timers, clock, log }: CorePorts, { begun, begin, stop }: Beginning): Timer[] {
  const round = (what: string, run: () => Promise<void>): (() => void) => {
    let running = false;
    return () => {
      if (running) return;
      running = true;
      run()
        .catch((error: unknown) => {
          if (!isUnavailable(error)) log.error({ err: error }, `${what} failed`);
        })
        .finally(() => (running = false));
    };
  };
  const beginLater = async (): Promise<void> => {
    if (begun()) return;
    try {
      await begin();
    } catch (error) {
      if (!(error instanceof VserverError) || error.code !== 'SETTINGS') throw error;
      log.error({ err: error }, 'the directory is back, but this node may not run on it');
      await stop();
    }
  };
  const renew = async (): Promise<void> => {
    if (!begun()) return;
    await core.servers.renew();
    core.variables.relist();
  };
  return [
    timers.every(SECOND_MS, () => {
      const nowS = Math.floor(clock.now() / 1000);
      core.table.turn(nowS, (row) => {
        core.ends.end(row, 'silence');
      });
      core.cases.publications.turn(nowS);
      core.cases.presence.turn(nowS);
    }),
    timers.every(
      SECOND_MS,
      round('sweep', () => core.sweep.step()),
    ),
    timers.every(
      SECOND_MS,
      round('reconciliation', async () => {
        if (begun()) await core.reconciler.step();
      }),
    ),
    timers.every(
      SECOND_MS,
      round('look at users of other nodes', async () => core.far?.step()),
    ),
    timers.every(
      SECOND_MS,
      round('look at messages', () => core.messages.look()),
    ),
    timers.every(
      OLD_MESSAGES_MS,
      round('removal of old messages', () => core.messages.tidy()),
    ),
    timers.every(SECOND_MS, round('start on the directory', beginLater)),
    timers.every(RENEWAL_MS, round('renewal of the server record', renew)),
    timers.every(
      VARIABLES_MS,
      round('reading of the system variables', () => core.variables.refresh()),
    ),
  ];
}
