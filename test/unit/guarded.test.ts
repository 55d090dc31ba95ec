import { expect, it } from 'vitest';
import { VserverError } from '../../src/base/errors.ts';
import { NOWHERE } from '../../src/base/model.ts';
import type { Log } from '../../src/base/ports.ts';
import { guarded } from '../../src/directory/guarded.ts';
import { manualTime, settle } from '../support/clock.ts';
import { fakeDirectory } from '../support/fake-directory.ts';

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function setup(inFlightMax = 1024) {
  const time = manualTime();
  const inner = fakeDirectory();
  inner.put({ uid: 'a' });
  return {
    time,
    inner,
    directory: guarded(inner, { timers: time.timers, clock: time.clock, log: silent, inFlightMax }),
  };
}
const failing = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: unknown) => error,
  );

it('answers pass, and no timer stays behind', async () => {
  const { time, directory } = setup();
  expect((await directory.find('a'))?.user.uid).toBe('a');
  expect(await directory.writeLocation('nobody', NOWHERE, 0)).toBe('unknown');
  expect(time.running()).toBe(0);
  expect(directory.health()).toMatchObject({ up: true, lastError: '' });
});

it('an operation without an answer ends after 2 s', async () => {
  const { time, inner, directory } = setup();
  inner.held = true;
  const answer = failing(directory.find('a'));
  await time.advance(1999);
  expect(await Promise.race([answer, settle()])).toBeUndefined();
  await time.advance(1);
  expect(await answer).toMatchObject({ code: 'DIRECTORY_UNAVAILABLE', retryAfter: 5 });
});

it('an import has a minute', async () => {
  const { time, inner, directory } = setup();
  inner.apply = () => new Promise(() => {});
  const answer = failing(directory.apply([]));
  await time.advance(59_999);
  expect(await Promise.race([answer, settle()])).toBeUndefined();
  await time.advance(1);
  expect(await answer).toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
});

it('while the directory counts as down its schema is brought up to date all the same', async () => {
  const { inner, directory } = setup();
  inner.down = true;
  for (let i = 0; i < 3; i++) await failing(directory.find('a'));
  inner.down = false;
  expect(await failing(directory.find('a'))).toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
  inner.migrate = () => Promise.resolve(['tables']);
  expect(await directory.migrate()).toEqual(['tables']);
});

it('more operations at once than allowed are refused without asking the directory', async () => {
  const { inner, directory } = setup(2);
  inner.held = true;
  const two = [directory.find('a'), directory.find('a')];
  expect(await failing(directory.find('a'))).toMatchObject({ code: 'OVERLOADED', retryAfter: 1 });
  expect(inner.calls).toHaveLength(2);
  inner.held = false;
  inner.release();
  await Promise.all(two);
  expect((await directory.find('a'))?.user.uid).toBe('a');
});

it('operations past their deadline make room for others', async () => {
  const { time, inner, directory } = setup(1);
  inner.held = true;
  const hung = failing(directory.find('a'));
  await time.advance(2000);
  await hung;
  inner.held = false;
  expect((await directory.find('a'))?.user.uid).toBe('a');
});

it('tells why the directory could not be asked, with the code of the system', async () => {
  const { inner, directory } = setup();
  inner.find = () =>
    Promise.reject(
      new VserverError('DIRECTORY_UNAVAILABLE', undefined, {
        cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
      }),
    );
  await failing(directory.find('a'));
  expect(directory.health().lastError).toBe('directory unreachable (ECONNREFUSED)');
});

it('after three failures in a row operations fail at once, without asking', async () => {
  const { time, inner, directory } = setup();
  inner.down = true;
  for (let i = 0; i < 3; i++) expect(await failing(directory.find('a'))).toMatchObject({ retryAfter: 5 });
  expect(directory.health()).toMatchObject({ up: false, since: time.clock.now(), lastError: 'directory unreachable' });
  const asked = inner.calls.length;
  expect(await failing(directory.find('a'))).toMatchObject({ code: 'DIRECTORY_UNAVAILABLE', retryAfter: 5 });
  expect(() => directory.entries()).toThrow('directory unreachable');
  expect(inner.calls).toHaveLength(asked);
});

it('failures with a success between them open nothing', async () => {
  const { inner, directory } = setup();
  for (let i = 0; i < 5; i++) {
    inner.down = true;
    await failing(directory.find('a'));
    await failing(directory.find('a'));
    inner.down = false;
    await directory.find('a');
  }
  expect(directory.health().up).toBe(true);
});

it('a directory that is back serves within a second or so', async () => {
  const { time, inner, directory } = setup();
  inner.down = true;
  for (let i = 0; i < 3; i++) await failing(directory.find('a'));
  await time.advance(10_000);
  expect(inner.calls.filter((call) => call === 'ping')).toHaveLength(10);
  expect(directory.health().up).toBe(false);
  inner.down = false;
  await time.advance(1000);
  expect(directory.health()).toMatchObject({ up: true, since: time.clock.now() });
  expect((await directory.find('a'))?.user.uid).toBe('a');
  expect(time.running()).toBe(0);
});

it('a directory that hung is found again too: a ping that hangs is given up, and one is asked at a time', async () => {
  const { time, inner, directory } = setup();
  inner.down = true;
  for (let i = 0; i < 3; i++) await failing(directory.find('a'));
  inner.held = true;
  await time.advance(9_000);
  expect(inner.calls.filter((call) => call === 'ping').length).toBeLessThanOrEqual(5);
  inner.held = false;
  inner.down = false;
  await time.advance(5_000);
  expect(directory.health().up).toBe(true);
});

it('errors that the directory answers with pass unchanged and open nothing', async () => {
  const { inner, directory } = setup();
  const refusal = new VserverError('INVALID_RECORD', 'alias: longer than 128 characters');
  inner.change = () => Promise.reject(refusal);
  for (let i = 0; i < 5; i++) expect(await failing(directory.change('a', {}))).toBe(refusal);
  expect(directory.health().up).toBe(true);
});

it('a mistake of the backend becomes INTERNAL, keeps its text to itself and opens nothing', async () => {
  const { inner, directory } = setup();
  const mistake = new Error('password=S3cret');
  inner.find = () => {
    throw mistake;
  };
  for (let i = 0; i < 5; i++) {
    const error = await failing(directory.find('a'));
    expect(error).toMatchObject({ code: 'INTERNAL', message: 'internal error', cause: mistake });
  }
  expect(directory.health()).toMatchObject({ up: true, lastError: '' });
});

it('close stops the probe', async () => {
  const { time, inner, directory } = setup();
  inner.down = true;
  for (let i = 0; i < 3; i++) await failing(directory.find('a'));
  await directory.close();
  expect(time.running()).toBe(0);
});
