/** Whether this node may run beside those that run already. */
import { formatAddress } from './base/address.ts';
import { isUnavailable, VserverError } from './base/errors.ts';
import type { Clock, Log, Timers } from './base/ports.ts';
import type { Answer } from './bus/bus.ts';
import type { Config } from './config.ts';
import type { Core } from './core.ts';
import type { Secrets } from './secrets.ts';
import { SETTINGS } from './settings.ts';

/** The bus is given so long to connect before a node starts without having asked the others. */
const BUS_MS_MAX = 2_000;
const LOOK_MS = 50;
/** Others answer at once, or not at all. */
const ANSWER_MS = 1_000;
/** So many of the others are asked. */
const ASKED_MAX = 8;
/** Clocks that differ by more would have messages and tickets refused. */
const CLOCKS_DIFFER_MS_MAX = 10_000;

/**
 * The first look at the others, before they are told of this node: one whose cluster key nobody else knows, or whose
 * name another one has, must not join them. False where the directory can't be asked now; rejects with SETTINGS.
 */
export async function meetOthers(config: Config, core: Core, secrets: Secrets, ports: JoinPorts): Promise<boolean> {
  try {
    await core.servers.look();
    const [other] = core.servers.others();
    const namesake = core.servers.namesake();
    // A port that was picked says nothing of who it is, and an embedded directory has one node.
    if (namesake !== undefined && config.udpPort !== 0 && !config.directory.startsWith('sqlite:')) {
      const at = formatAddress(namesake.udp);
      throw new VserverError(
        'SETTINGS',
        `a server of the name ${namesake.name} runs at ${at} already: set VSERVER_NAME (or wait 15 s if it is gone)`,
      );
    }
    if (other !== undefined && secrets.clusterKeyIsOwn && !config.directory.startsWith('sqlite:')) {
      throw new VserverError(
        'SETTINGS',
        `the server ${other.name} runs on this directory: set VSERVER_CLUSTER_KEY, the same on all of them`,
      );
    }
    await askOthers(config, core, ports);
    await core.servers.renew();
    await core.variables.refresh();
    return true;
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return false;
  }
}

export interface JoinPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
}

/** Over the bus, where there is one: whether one of this name runs, and whether key, realm and clock are those of the others. */
async function askOthers(config: Config, core: Core, ports: JoinPorts): Promise<void> {
  const { bus, servers } = core;
  if (config.nats === '') return;
  for (let waitedMs = 0; !bus.isUp && waitedMs < BUS_MS_MAX; waitedMs += LOOK_MS) {
    await new Promise<void>((resolve) => ports.timers.after(LOOK_MS, resolve));
  }
  // Those that look dead too: with a wrong clock everybody does.
  const others = [...servers.all().slice(1)].sort((a, b) => b.seenAt - a.seenAt).slice(0, ASKED_MAX);
  const asked = [config.name, ...others.map((other) => other.name)];
  const answers = await Promise.all(asked.map((other) => bus.ask(other, 'join', {}, ANSWER_MS)));
  const nowMs = ports.clock.now();
  for (const [i, answer] of answers.entries()) {
    const other = asked[i] ?? '';
    if (answer === 'nobody') await requireSameKey(config, core, ports.log, other);
    else if (typeof answer !== 'string') requireSame(config, other, answer, nowMs);
  }
}

/** Of a server that does not hear us; subjects are made of the key. */
async function requireSameKey(config: Config, { bus, servers }: Core, log: Log, other: string): Promise<void> {
  const record = servers.other(other);
  if (record === undefined) return;
  if (!(await bus.isOnWire(other, record.startedAt, ANSWER_MS))) {
    // No reason to stay away: he may have ended a moment ago, or his NATS be away.
    const why = `ended just now, or with another ${SETTINGS.nats.env}, which must be the same on all`;
    log.warn({ server: other }, `a server of the directory is not heard on NATS: ${why}`);
    return;
  }
  // It may have come back to NATS between the two questions.
  if ((await bus.ask(other, 'join', {}, ANSWER_MS)) !== 'nobody') return;
  const text = `the server ${other} (${formatAddress(record.udp)}) runs on this directory with another cluster key`;
  if (config.clusterKeyChange) {
    log.warn({ server: other }, `${text}: until it is started with this one, the two are strangers`);
    return;
  }
  const how = `to change it, see ${SETTINGS.clusterKeyChange.env}`;
  throw new VserverError('SETTINGS', `${text}: set ${SETTINGS.clusterKey.env}, the same on all of them (${how})`);
}

function requireSame({ name, realm }: Config, other: string, { body, at }: Heard, nowMs: number): void {
  if (other === name) {
    throw new VserverError('SETTINGS', `a server of the name ${name} answers on the bus: set VSERVER_NAME`);
  }
  const theirs = (body as { realm?: unknown }).realm;
  if (theirs !== realm) {
    const text = `the realm here is ${realm}, that of the server ${other} is ${String(theirs)}`;
    throw new VserverError('SETTINGS', `${text}: set VSERVER_REALM, the same on all of them`);
  }
  const aheadS = Math.round((nowMs - at) / 1000);
  if (Math.abs(nowMs - at) > CLOCKS_DIFFER_MS_MAX) {
    const differ = `the clock here is ${Math.abs(aheadS)} s ${aheadS > 0 ? 'ahead of' : 'behind'} that of the server ${other}`;
    throw new VserverError('SETTINGS', `${differ}: set the clock (NTP)`);
  }
}
type Heard = Exclude<Answer, string>;
