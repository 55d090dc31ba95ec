/** DIRECTORY.md section 6: a user's CONFIG is rendered again only where something in it changed. */
import { expect, it } from 'vitest';
import { createCounters } from '../../src/base/counters.ts';
import { renderSystem } from '../../src/config-xml/render.ts';
import { userConfigs } from '../../src/config-xml/user-config.ts';
import { records } from '../../src/directory/records.ts';
import { manualTime } from '../support/clock.ts';
import { fakeDirectory } from '../support/fake-directory.ts';
import { silentLog } from '../support/silent-log.ts';

function setup() {
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
