/** A node of the simulation: the real inside of one, over a clock, a directory and a bus that misbehave. */
import { VserverError } from '../../src/base/errors.ts';
import type { Timers } from '../../src/base/ports.ts';
import { createBus } from '../../src/bus/bus.ts';
import type { Wire } from '../../src/bus/wire.ts';
import type { Config } from '../../src/config.ts';
import type { Core } from '../../src/core.ts';
import { createCore } from '../../src/core.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { guarded } from '../../src/directory/guarded.ts';
import type { Journal, Journals } from '../../src/login/journal.ts';
import type { Seen } from '../../src/presence/compose.ts';
import type { EndReason } from '../../src/login/session-ends.ts';
import { startRounds } from '../../src/rounds.ts';
import { silentLog } from '../support/silent-log.ts';
import type { FakeDirectory } from '../support/fake-directory.ts';
import type { MemoryWires } from '../support/wire.ts';
import type { History } from './history.ts';
import { randomOf } from './world.ts';
import type { Chance, SimTime } from './world.ts';

/** What all nodes share. */
export interface Shared {
  readonly time: SimTime;
  readonly chance: Chance;
  readonly directory: FakeDirectory;
  readonly wires: MemoryWires;
  readonly history: History;
  readonly config: Config;
  /** Probability that a request to the directory, or its answer, is lost. */
  directoryLoss: number;
  /** Calls of the directory by all nodes, by name. */
  readonly directoryCalls: Map<string, number>;
  /** Uids of those who are watched on every node. */
  readonly watched: readonly string[];
  /** A session of the node ended, with this cookie. */
  onEnd(node: string, cookie: string, reason: EndReason): void;
}

const DIRECTORY_MS_MAX = 20;
/** Who watches on every node, and is logged in at none. */
export const WATCHER = 'watcher';

export class SimNode {
  readonly name: string;
  /** null while the process is dead. */
  core: Core | null = null;
  isPaused = false;
  isCutFromDirectory = false;
  isCutFromBus = false;
  diedAtMs = -Infinity;
  /** What a watcher here was told last of each user; nothing: that he is offline. */
  readonly told = new Map<string, Seen>();
  readonly #shared: Shared;
  readonly #number: number;
  /** What this node's clock is ahead of the true time. */
  readonly #skewMs: number;
  /** The disk of the node survives its process. */
  readonly #disk = new Map<string, Map<string, string>>();
  #run = 0;
  #waiting: (() => void)[] = [];
  #wire: Wire | null = null;

  constructor(shared: Shared, number: number) {
    this.#shared = shared;
    this.#number = number;
    this.name = `n${number}`;
    this.#skewMs = shared.chance.between(-4_000, 4_000);
  }

  get isAlive(): boolean {
    return this.core !== null;
  }

  async start(usersMax: number): Promise<void> {
    const { time, chance, directory, wires, config, history } = this.#shared;
    const run = ++this.#run;
    const clock = { now: () => time.now + this.#skewMs };
    const timers: Timers = {
      after: (delayMs, go) => time.after(delayMs, () => this.#deliver(run, go)),
      every: (periodMs, go) => time.timers.every(periodMs, () => this.#tick(run, go)),
      now: () => time.now,
    };
    const random = randomOf(chance);
    this.#wire = wires.plug(this.name);
    const wire = this.#wired(this.#wire, run);
    const bus = createBus({
      wire,
      clusterKey: config.clusterKey,
      name: this.name,
      clock,
      random,
      log: silentLog,
    });
    const own = { ...config, name: this.name, data: this.name, usersMax };
    const me = {
      ...{ name: this.name, udp: { host: '127.0.0.1', port: 1_000 + this.#number }, http: '', sip: null },
      ...{ usersMax, startedAt: clock.now(), version: 'sim' },
    };
    const ports = { clock, timers, random, log: silentLog, journals: this.#journals() };
    const link = guarded(this.#linked(directory, run), { ...ports, deadlineMs: config.directoryDeadline });
    const onEnd = (row: number, reason: EndReason, uid: string): void => {
      if (core.table.users.find(uid) < 0) history.left(this.name, uid, time.now);
      this.#shared.onEnd(this.name, core.table.sessions.cookie(row), reason);
    };
    const outward = { sessionEnded: onEnd, deliver: () => Promise.resolve('silent' as const) };
    const core = await createCore(own, ports, link, me, outward, bus);
    this.core = core;
    this.#watch(core);
    startRounds(core, ports, { begun: () => true, begin: () => Promise.resolve(), stop: () => Promise.resolve() });
    void core.servers.renew().catch(() => undefined);
  }

  /** A client here watches all users. */
  #watch({ cases: { presence } }: Core): void {
    const { told } = this;
    told.clear();
    presence.attach('native', {
      notify(row, seen) {
        told.set(presence.subscriptions.presentityOf(row), seen);
        presence.notified(row);
      },
      ended: () => undefined,
    });
    for (const presentity of this.#shared.watched) {
      presence.introduce(presence.subscribe({ watcher: WATCHER, presentity, edge: 'native', ref: 0, endsS: 0 }));
    }
  }

  /** kill -9. */
  crash(): void {
    const { time, history } = this.#shared;
    this.core = null;
    this.isPaused = false;
    this.#waiting = [];
    this.diedAtMs = time.now;
    history.crashed(this.name, time.now);
    void this.#wire?.close();
  }

  /** SIGSTOP. */
  pause(): void {
    this.isPaused = true;
  }

  /** SIGCONT: what came meanwhile waits in its sockets. */
  resume(): void {
    this.isPaused = false;
    for (const run of this.#waiting.splice(0)) run();
  }

  /** Something arrives at the node as it is now. */
  receive(run: (core: Core) => void): void {
    this.#deliver(this.#run, () => {
      if (this.core !== null) run(this.core);
    });
  }

  #deliver(run: number, go: () => void): void {
    if (run !== this.#run || this.core === null) return;
    if (!this.isPaused) go();
    else if (this.#waiting.length < 10_000) this.#waiting.push(() => this.#deliver(run, go));
  }

  /** A period that passed while the process was stopped is not made up for. */
  #tick(run: number, go: () => void): void {
    if (run === this.#run && this.core !== null && !this.isPaused) go();
  }

  #wired(plug: Wire, run: number): Wire {
    const isUp = (): boolean => plug.isUp && !this.isCutFromBus;
    return {
      get isUp() {
        return isUp();
      },
      publish: (subject, bytes) => {
        if (isUp()) plug.publish(subject, bytes);
      },
      request: (subject, bytes, withinMs) =>
        new Promise((resolve) => {
          void plug.request(subject, bytes, withinMs).then((answer) => this.#deliver(run, () => resolve(answer)));
        }),
      subscribe: (subject, onMessage) => {
        plug.subscribe(subject, (bytes, answer) => this.#deliver(run, () => onMessage(bytes, answer)));
      },
      close: () => plug.close(),
    };
  }

  /** Requests are lost on the way there, or carried out and their answers are lost. */
  #linked(inner: Directory, run: number): Directory {
    const { time, chance, directoryCalls } = this.#shared;
    const call = <R>(name: string, operation: () => Promise<R>): Promise<R> => {
      directoryCalls.set(name, (directoryCalls.get(name) ?? 0) + 1);
      const { directoryLoss } = this.#shared;
      const isLost = (): boolean => this.isCutFromDirectory || chance.happens(directoryLoss);
      return new Promise((resolve, reject) => {
        if (isLost()) return;
        time.after(chance.between(1, DIRECTORY_MS_MAX), () => {
          const answered = (settle: () => void): void => {
            if (isLost()) return;
            time.after(chance.between(1, DIRECTORY_MS_MAX), () => this.#deliver(run, settle));
          };
          operation().then(
            (answer) => answered(() => resolve(answer)),
            (error: unknown) => {
              answered(() => reject(error instanceof Error ? error : new VserverError('INTERNAL')));
            },
          );
        });
      });
    };
    return {
      ...inner,
      find: (...args) => call('find', () => inner.find(...args)),
      peek: (...args) => call('peek', () => inner.peek(...args)),
      writeLocation: (...args) => call('writeLocation', () => inner.writeLocation(...args)),
      owned: (...args) => call('owned', () => inner.owned(...args)),
      servers: () => call('servers', () => inner.servers()),
      writeServer: (...args) => call('writeServer', () => inner.writeServer(...args)),
      ping: () => call('ping', () => inner.ping()),
    };
  }

  #journals(): Journals {
    const disk = this.#disk;
    return {
      read: (path, read) => {
        const waiting = new Map([...(disk.get(path) ?? [])].map(([uid, text]) => [uid, read(JSON.parse(text))]));
        const good = [...waiting].flatMap(([uid, value]) => (value === null ? [] : [[uid, value] as const]));
        return Promise.resolve({ waiting: new Map(good), damaged: waiting.size - good.length });
      },
      open: (path, waiting): Journal => {
        const file = new Map([...waiting].map(([uid, value]) => [uid, JSON.stringify(value)]));
        disk.set(path, file);
        return {
          note(uid) {
            const value = waiting.get(uid);
            if (value === undefined) file.delete(uid);
            else file.set(uid, JSON.stringify(value));
          },
          saved: () => Promise.resolve(),
          retry: () => undefined,
        };
      },
    };
  }
}
