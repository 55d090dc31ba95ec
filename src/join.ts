/** Whether this node may run beside those that run already. */
import { formatAddress } from './base/address.ts';
import { isUnavailable, VserverError } from './base/errors.ts';
import type { Clock, Log, Timers } from './base/ports.ts';
import type { Answer } from './bus/bus.ts';
import { clusterId } from './bus/envelope.ts';
import type { Config } from './config.ts';
import type { Core } from './core.ts';
import type { Secrets } from './secrets.ts';
import { SETTINGS } from './settings.ts';

/** The bus is given so long to connect before a node starts without having asked the others. */
const BUS_MS_MAX = 4_000;
const LOOK_MS = 50;
/** Others answer at once, or not at all. */
const ANSWER_MS = 4_000;
/** So many of the others are asked. */
const ASKED_MAX = 8;
/** Clocks that differ by more would have messages and tickets refused. */
const CLOCKS_DIFFER_MS_MAX = 10_000;

/** Build metadata (semver.org, item 10) of the version in a server record: which cluster key the server has. */
const KEY_MARK = '+key.';

/** The version as other nodes are told it; whoever reads it can't tell the key from it. */
export function announcedVersion(version: string, clusterKey: string): string {
  return version + KEY_MARK + clusterId(clusterKey);
}

/**
 * The first look at the others, before they are told of this node: one whose cluster key nobody else knows, or whose
 * name another one has, must not join them. False where the directory can't be asked now; rejects with SETTINGS.
 */
export async function meetOthers(config: Config, core: Core, secrets: Secrets, ports: JoinPorts): Promise<boolean> {
  try {
    await core.servers.look();
    const [other] = core.servers.others();
    const namesake = core.servers.namesake();
    // An embedded directory has one node.
    const isShared = !config.directory.startsWith('sqlite:');
    // A port that was picked says nothing of who it is.
    if (namesake !== undefined && config.udpPort !== 0 && isShared) {
      const at = formatAddress(namesake.udp);
      throw new VserverError(
        'SETTINGS',
        `a server of the name ${namesake.name} runs at ${at} already: set VSERVER_NAME (or wait 15 s if it is gone)`,
      );
    }
    if (other !== undefined && secrets.clusterKeyIsOwn && isShared) {
      throw new VserverError(
        'SETTINGS',
        `the server ${other.name} runs on this directory: set VSERVER_CLUSTER_KEY, the same on all of them`,
      );
    }
    if (isShared) requireSameKey(config, core, secrets, ports.log);
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

/** Over the bus, where there is one: whether one of this name runs, and whether realm and clock are those of the others. */
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
    if (answer === 'nobody') warnOfSilence(core, ports.log, other);
    else if (typeof answer !== 'string') requireSame(config, other, answer, nowMs);
  }
}

/** By the records of the directory, which nobody can write who is not trusted with it; on the bus anybody may say anything. */
function requireSameKey(config: Config, { servers }: Core, { clusterKey }: Secrets, log: Log): void {
  for (const { name, udp, version } of servers.others()) {
    const [, theirs] = version.split(KEY_MARK);
    if (theirs === undefined || theirs === clusterId(clusterKey)) continue;
    const text = `the server ${name} (${formatAddress(udp)}) runs on this directory with another cluster key`;
    if (config.clusterKeyChange) {
      log.warn({ server: name }, `${text}: until it is started with this one, the two are strangers`);
      continue;
    }
    const how = `to change it, see ${SETTINGS.clusterKeyChange.env}; if it is gone, wait 15 s`;
    throw new VserverError('SETTINGS', `${text}: set ${SETTINGS.clusterKey.env}, the same on all of them (${how})`);
  }
}

/** Of a server that does not hear us. No reason to stay away: it may have ended a moment ago, or its NATS be away. */
function warnOfSilence({ servers }: Core, log: Log, name: string): void {
  if (servers.other(name) === undefined) return;
  const why = `ended just now, or with another ${SETTINGS.nats.env} or cluster key, which must be the same on all`;
  log.warn({ server: name }, `a server of the directory is not heard on NATS: ${why}`);
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
