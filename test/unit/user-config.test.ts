/** DIRECTORY.md section 6: a user's CONFIG is rendered again only where something in it changed. */
import { describe, expect, it } from 'vitest';
import { createCounters } from '../../src/base/counters.ts';
import type { ConfigDocument } from '../../src/config-xml/document.ts';
import { renderSystem } from '../../src/config-xml/render.ts';
import type { TurnSettings } from '../../src/config-xml/turn.ts';
import { userConfigs } from '../../src/config-xml/user-config.ts';
import { records } from '../../src/directory/records.ts';
import { manualTime } from '../support/clock.ts';
import { fakeDirectory } from '../support/fake-directory.ts';
import { silentLog } from '../support/silent-log.ts';

function setup(turn: TurnSettings | null = null) {
  const time = manualTime();
  const directory = fakeDirectory();
  directory.put({ uid: 'u', xmlext: '<mine/>' });
  let system = renderSystem(new Map([['MAIN_URL', 'one']]), '');
  const counters = createCounters();
  const configs = userConfigs({
    records: records(directory, time.clock),
    variables: { current: () => system, refresh: () => Promise.resolve(), relist: () => undefined },
    counters,
    log: silentLog,
    clock: time.clock,
    turn,
  });
  const setSystem = (value: string): void => {
    system = renderSystem(new Map([['MAIN_URL', value]]), '');
  };
  return { time, directory, counters, configs, setSystem };
}

it('is answered from memory once it was read, for as long as the record is young', async () => {
  const { time, configs } = setup();
  expect(configs.configHere('u', false)).toBeUndefined();
  const document = await configs.config('u', false);
  expect(document?.body.toString()).toContain('<mine/>');
  expect(configs.configHere('u', false)).toBe(document);
  await time.advance(30_001);
  expect(configs.configHere('u', false)).toBeUndefined();
});

it('is another document where the SYSTEM part changed', async () => {
  const { configs, setSystem } = setup();
  const before = await configs.config('u', false);
  setSystem('two');
  const after = configs.configHere('u', false);
  expect(after?.body.toString()).toContain('VALUE="two"');
  expect(after?.etag).not.toBe(before?.etag);
  expect(configs.configHere('u', false)).toBe(after);
});

it('of nobody is null', async () => {
  const { configs } = setup();
  expect(await configs.config('nobody', false)).toBeNull();
  expect(configs.configHere('nobody', false)).toBeUndefined();
});

it('counts a fragment that was left out', async () => {
  const { configs, directory, counters } = setup();
  directory.put({ uid: 'bad', xmlext: '<open>' });
  expect((await configs.config('bad', false))?.body.toString()).not.toContain('<open>');
  expect(counters.fragmentsRejected).toBe(1);
});

describe('with TURN servers', () => {
  const TURN = { uris: ['turn:turn.example.com'], secret: 'north', lifetimeS: 7_200 };
  /** Seconds until these credentials end. */
  const leftS = (document: ConfigDocument | null, nowMs: number): number =>
    Number(/ USER="(\d+):u" /.exec(document?.body.toString() ?? '')?.[1]) - Math.floor(nowMs / 1000);

  it('is another document when new credentials are due, which is after half of their lifetime, and not before', async () => {
    const { time, configs } = setup(TURN);
    let last = await configs.config('u', true);
    let changes = 0;
    for (let minute = 0; minute < 24 * 60; minute++) {
      await time.advance(60_000);
      const next = await configs.config('u', true);
      const isOther = next?.etag !== last?.etag;
      expect(next?.body.equals(last?.body ?? Buffer.alloc(0))).toBe(!isOther);
      // Whoever asks can use them for an hour at least, and for two at most.
      expect(leftS(next, time.clock.now())).toBeGreaterThanOrEqual(3_600);
      expect(leftS(next, time.clock.now())).toBeLessThanOrEqual(7_200);
      if (isOther) changes++;
      last = next;
    }
    expect(changes).toBe(24);
  });

  it('is the same document on every node with the same settings', async () => {
    const [here, there] = [setup(TURN), setup(TURN)];
    expect((await here.configs.config('u', true))?.etag).toBe((await there.configs.config('u', true))?.etag);
  });

  it('has no credentials, and never changes for their sake, where no passwords may be told', async () => {
    const { time, configs } = setup(TURN);
    const document = await configs.config('u', false);
    expect(document?.body.toString()).toContain('<TURN SERVER="turn:turn.example.com" USER="" PWD="" EXPIRES=""/>');
    await time.advance(7_200_000);
    expect((await configs.config('u', false))?.etag).toBe(document?.etag);
  });
});
