/** The use cases of several nodes over one directory and one bus in memory. */
import { randomBytes } from 'node:crypto';
import { createBus } from '../../src/bus/bus.ts';
import { manualTime } from './clock.ts';
import { fakeDirectory } from './fake-directory.ts';
import type { Flows } from './flows.ts';
import { flows } from './flows.ts';
import { silentLog } from './silent-log.ts';
import type { Fate } from './wire.ts';
import { memoryWires } from './wire.ts';

export const KEY = 'the key of this cluster';

export interface Node extends Flows {
  readonly name: string;
  isRunning: boolean;
  /** What its watchers were told, in order: `watcher sees presentity status note`. */
  readonly told: string[];
  /** Subscriptions of phones that were ended: watcher and reason. */
  readonly ended: { watcher: string; reason: string }[] & Flows['ended'];
  watch(watcher: string, presentity: string): number;
}

/** Nodes that know each other, each second, as long as they run. */
export function cluster(names: readonly string[], fate?: Fate) {
  const time = manualTime();
  const directory = fakeDirectory();
  const wires = memoryWires(time.timers, fate);
  const nodes = names.map((name): Node => {
    const random = { bytes: (length: number) => randomBytes(length) };
    const bus = createBus({
      wire: wires.plug(name),
      clusterKey: KEY,
      name,
      clock: time.clock,
      random,
      log: silentLog,
    });
    const node = flows({ name, directory, time, bus });
    const told: string[] = [];
    const endings: { watcher: string; reason: string }[] = [];
    const { presence } = node;
    presence.attach('sip', {
      notify(row, { status, note }) {
        const { subscriptions } = presence;
        told.push(`${subscriptions.watcherOf(row)} sees ${subscriptions.presentityOf(row)} ${status} ${note}`.trim());
        presence.notified(row);
      },
      ended: (row, reason) => void endings.push({ watcher: presence.subscriptions.watcherOf(row), reason }),
    });
    const watch = (watcher: string, presentity: string): number => {
      const endsS = node.nowS() + 3_600;
      const row = presence.subscribe({ watcher, presentity, edge: 'sip', ref: 0, endsS });
      presence.introduce(row);
      return row;
    };
    return Object.assign(node, { name, isRunning: true, told, watch, ended: endings as never });
  });
  const second = (): void => {
    for (const node of nodes) {
      if (!node.isRunning) continue;
      for (const other of nodes) if (other !== node && other.isRunning) node.servers.hear(other.servers.own());
      node.presence.turn(node.nowS());
      void node.far?.step();
    }
  };
  second();
  time.timers.every(1_000, second);
  const node = (i: number): Node => {
    const one = nodes[i];
    if (one === undefined) throw new Error('no such node');
    return one;
  };
  const asked = (kind: string): number =>
    wires.sent.filter(
      ({ bytes }) => (JSON.parse(Buffer.from(bytes).toString().slice(44)) as { kind: string }).kind === kind,
    ).length;
  return { time, directory, wires, nodes, node, asked };
}
