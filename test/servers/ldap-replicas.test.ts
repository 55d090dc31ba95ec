/** An OpenLDAP provider with two replicas by real syncrepl: what is read where, while one lags, dies, or is written to. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Timers } from '../../src/base/ports.ts';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import type { Directory, Entry } from '../../src/directory/directory.ts';
import { openLdap } from '../../src/directory/ldap.ts';
import { PROBE_MS } from '../../src/directory/ldap-replicas.ts';
import { online } from '../support/directory-samples.ts';
import { freePort } from '../support/programs.ts';
import { silentLog } from '../support/silent-log.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';

const SAMPLE = fileURLToPath(new URL('../../ldif/sample.ldif', import.meta.url));
const UID = '10017676';
const DEADLINE_MS = 8_000;
/** Two probes, and what the machine takes. */
const NOTICED = { timeout: 2 * PROBE_MS + 30_000, interval: 50 };

let provider: Slapd;
let replicas: readonly [Slapd, Slapd];
/** Between the first replica and the provider. */
let cable: TcpProxy;
let directory: Directory;
/** Past the replicas, and at each of them. */
let eyes: { readonly provider: Directory; readonly replicas: readonly [Directory, Directory] };
let epoch = 0;
/** Whether the replicas are looked at. */
let isProbing = true;
const notes: { replica: string; why?: string }[] = [];

const log = {
  ...silentLog,
  info: (fields: object) => void notes.push(fields as { replica: string }),
  warn: (fields: object) => void notes.push(fields as { replica: string; why?: string }),
};
const timers: Timers = {
  ...systemTimers,
  every: (periodMs, run) =>
    systemTimers.every(periodMs, () => {
      if (isProbing) run();
    }),
};
const root = (slapd: Slapd): string => slapd.url.replace(/\/dc=.*$/, '');
const open = (url: string, more: readonly string[] = []): Promise<Directory> =>
  openLdap({
    ...{ url, replicas: more, bindDn: ROOT_DN, password: ROOT_PASSWORD, startTls: false, deadlineMs: DEADLINE_MS },
    ...{ log, timers, clock: systemClock },
  });
const write = async (): Promise<void> => {
  expect(await directory.writeLocation(UID, online(epoch + 1), epoch)).toBe('written');
  epoch++;
};
const epochAt = async (eye: Directory): Promise<number | undefined> => (await eye.find(UID))?.location.epoch;
/** The epoch that a read finds which may be old. */
const readEpoch = async (suffices: (entry: Entry | null) => boolean = () => true): Promise<number | undefined> =>
  (await directory.find(UID, suffices))?.location.epoch;
const used = (of: Slapd): boolean | undefined => {
  const last = notes.filter(({ replica }) => replica === root(of)).at(-1);
  return last && last.why === undefined;
};

beforeAll(async () => {
  provider = await startSlapd({ isProvider: true });
  provider.add({ file: SAMPLE });
  cable = await startTcpProxy(Number(new URL(provider.url).port));
  replicas = [
    await startSlapd({ replicaOf: `ldap://127.0.0.1:${cable.port}`, refersTo: root(provider) }),
    await startSlapd({ replicaOf: root(provider), refersTo: root(provider) }),
  ];
  directory = await open(provider.url, replicas.map(root));
  const [first, second] = replicas;
  eyes = { provider: await open(provider.url), replicas: [await open(first.url), await open(second.url)] };
});
afterAll(async () => {
  cable.mend();
  await Promise.all([directory, eyes.provider, ...eyes.replicas].map((one) => one.close()));
  await Promise.all([...replicas, provider].map((one) => one.stop()));
  await cable.close();
});

const [FIRST, SECOND] = [0, 1] as const;

describe('replicas that have caught up', () => {
  it('are read from, where an answer may be a little old', async () => {
    await expect.poll(() => replicas.map(used), NOTICED).toEqual([true, true]);
    await write();
    for (const eye of eyes.replicas) await expect.poll(() => epochAt(eye), NOTICED).toBe(epoch);
    // Nobody else is there to answer.
    await provider.pause();
    try {
      expect(await readEpoch()).toBe(epoch);
      expect((await directory.peek([UID], () => true)).get(UID)?.epoch).toBe(epoch);
      expect(await directory.owned(online(1).server?.name ?? '', 10)).toEqual([{ uid: UID, epoch }]);
    } finally {
      provider.resume();
    }
  });

  it('are all right for check', async () => {
    const findings = (await directory.check()).filter(({ subject }) => subject === 'LDAP replicas');
    expect(findings.map(({ level }) => level)).toEqual(['ok', 'ok']);
  });
});

describe('a replica that lags', () => {
  it("makes no login look lost: what won't do is asked of the provider, all else sees the last write anyway", async () => {
    // It is not known yet.
    isProbing = false;
    cable.cut();
    await write();
    // It is asked in turn with the other one, so within two reads.
    const old = [await readEpoch(), await readEpoch()];
    expect(old).toContain(epoch - 1);
    const isNew = (entry: Entry | null): boolean => entry?.location.epoch === epoch;
    for (let i = 0; i < 4; i++) {
      expect(await readEpoch(isNew)).toBe(epoch);
      expect((await directory.peek([UID], (_uid, glimpse) => glimpse?.epoch === epoch)).get(UID)?.epoch).toBe(epoch);
      expect((await directory.find(UID))?.location.epoch).toBe(epoch);
      expect((await directory.peek([UID])).get(UID)?.epoch).toBe(epoch);
    }
    // The next login is compared with what the last one wrote.
    await write();
  });

  it('is not read from any more after a few seconds, and again when it has caught up', async () => {
    isProbing = true;
    await expect.poll(() => used(replicas[FIRST]), NOTICED).toBe(false);
    expect(used(replicas[SECOND])).toBe(true);
    expect(await epochAt(eyes.replicas[FIRST])).toBeLessThan(epoch);
    await expect.poll(() => epochAt(eyes.replicas[SECOND]), NOTICED).toBe(epoch);
    for (let i = 0; i < 4; i++) expect(await readEpoch()).toBe(epoch);
    const findings = (await directory.check()).filter(({ subject }) => subject === 'LDAP replicas');
    expect(findings.map(({ level }) => level)).toEqual(['warning', 'ok']);
    expect(findings[FIRST]?.message).toContain('lags');
    cable.mend();
    await expect.poll(() => used(replicas[FIRST]), NOTICED).toBe(true);
    expect(await epochAt(eyes.replicas[FIRST])).toBe(epoch);
  });
});

it('a tree that is empty, of the provider or of a replica, is a finding of check and no failure', async () => {
  const empty = await startSlapd();
  const opened = [await open(empty.url, [root(empty)]), await open(provider.url, [root(empty)])];
  try {
    const messages = await Promise.all(
      opened.map(async (one) =>
        (await one.check()).filter(({ subject }) => subject === 'LDAP replicas').map(({ message }) => message),
      ),
    );
    const text = (part: string): string => expect.stringContaining(part) as string;
    expect(messages).toEqual([[text('does not tell how far'), text('has caught up')], [text('lags')]]);
  } finally {
    await Promise.all(opened.map((one) => one.close()));
    await empty.stop();
  }
});

it('the log tells of a replica that has never answered', async () => {
  const dead = `ldap://127.0.0.1:${await freePort()}`;
  const opened = await open(provider.url, [dead]);
  await expect.poll(() => notes, NOTICED).toContainEqual({ replica: dead, why: 'it does not answer' });
  await opened.close();
});

describe('a replica that dies or hangs', () => {
  it('costs no read its answer, and is read from again when it is back', async () => {
    await Promise.all(replicas.map((one) => one.kill()));
    expect(await readEpoch()).toBe(epoch);
    expect((await directory.peek([UID], () => true)).get(UID)?.epoch).toBe(epoch);
    expect(replicas.map(used)).toEqual([false, false]);
    await write();
    expect(await readEpoch()).toBe(epoch);
    const findings = (await directory.check()).filter(({ subject }) => subject === 'LDAP replicas');
    expect(findings.map(({ level }) => level)).toEqual(['warning', 'warning']);
    await Promise.all(replicas.map((one) => one.restart()));
    await expect.poll(() => replicas.map(used), NOTICED).toEqual([true, true]);
  });

  it('answers within the deadline, by the provider, where it hangs', async () => {
    await Promise.all(replicas.map((one) => one.pause()));
    try {
      const began = performance.now();
      expect(await readEpoch()).toBe(epoch);
      expect(performance.now() - began).toBeLessThan(DEADLINE_MS);
    } finally {
      replicas.forEach((one) => {
        one.resume();
      });
    }
    await expect.poll(() => replicas.map(used), NOTICED).toEqual([true, true]);
  });
});

describe('a replica that was taken for the provider', () => {
  it('refuses writes with the reason, and check says what to do', async () => {
    const [wrong] = eyes.replicas;
    const refused = { code: 'READ_ONLY', message: expect.stringContaining('replica') as string };
    await expect(wrong.writeLocation(UID, online(epoch + 1), epoch)).rejects.toMatchObject(refused);
    const findings = (await wrong.check()).filter(({ level }) => level === 'error');
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.map(({ remedy }) => remedy).join()).toContain('VSERVER_LDAP_REPLICAS');
  });
});
