import { expect, it } from 'vitest';
import { records } from '../../src/directory/records.ts';
import { manualTime } from '../support/clock.ts';
import { fakeDirectory } from '../support/fake-directory.ts';

function setup(entriesMax?: number) {
  const time = manualTime();
  const directory = fakeDirectory();
  for (const uid of ['a', 'b', 'c']) directory.put({ uid });
  const finds = (): number => directory.calls.filter((call) => call === 'find').length;
  return { time, directory, finds, cache: records(directory, time.clock, entriesMax) };
}

it('an entry is read once while it is young enough, and again when it is older', async () => {
  const { time, finds, cache } = setup();
  expect((await cache.get('a', 1000))?.user.uid).toBe('a');
  await time.advance(1000);
  await cache.get('a', 1000);
  expect(finds()).toBe(1);
  await time.advance(1);
  await cache.get('a', 1000);
  expect(finds()).toBe(2);
});

it('several who ask at once share one read', async () => {
  const { finds, cache } = setup();
  const [one, two] = await Promise.all([cache.get('a', 1000), cache.get('a', 1000)]);
  expect(one).toBe(two);
  expect(finds()).toBe(1);
});

it('an unknown uid is asked for each time', async () => {
  const { directory, finds, cache } = setup();
  expect(await cache.get('new', 1000)).toBeNull();
  directory.put({ uid: 'new' });
  expect((await cache.get('new', 1000))?.user.uid).toBe('new');
  expect(finds()).toBe(2);
});

it('a user who is gone is not remembered', async () => {
  const { time, directory, finds, cache } = setup();
  await cache.get('a', 0);
  await directory.remove('a');
  await time.advance(1);
  expect(await cache.get('a', 0)).toBeNull();
  expect(await cache.get('a', 1000)).toBeNull();
  expect(finds()).toBe(3);
});

it('the longest unused entry leaves when there are too many', async () => {
  const { finds, cache } = setup(2);
  await cache.get('a', 1000);
  await cache.get('b', 1000);
  await cache.get('a', 1000);
  await cache.get('c', 1000);
  expect(finds()).toBe(3);
  await cache.get('a', 1000);
  await cache.get('c', 1000);
  expect(finds()).toBe(3);
  await cache.get('b', 1000);
  expect(finds()).toBe(4);
});

it('what is known is answered from memory, and nothing else', async () => {
  const { time, finds, cache } = setup();
  expect(cache.known('a', 1000)).toBeUndefined();
  const entry = await cache.get('a', 1000);
  expect(cache.known('a', 1000)).toBe(entry);
  await time.advance(1001);
  expect(cache.known('a', 1000)).toBeUndefined();
  cache.forget('a');
  expect(cache.known('a', 5000)).toBeUndefined();
  expect(finds()).toBe(1);
});

it('what is forgotten while it is being read is not kept', async () => {
  const { time, directory } = setup();
  const old = directory.row('a');
  let answerOld = (): void => {};
  const slow = new Promise<typeof old>((resolve) => (answerOld = () => resolve(old)));
  const finds = [slow];
  const cache = records({ find: () => finds.shift() ?? directory.find('a') }, time.clock);
  const before = cache.get('a', 1000);
  cache.forget('a');
  directory.put({ uid: 'a', xmlext: '<new/>' });
  expect((await cache.get('a', 1000))?.user.xmlext).toBe('<new/>');
  answerOld();
  expect(await before).toBe(old);
  expect((await cache.get('a', 1000))?.user.xmlext).toBe('<new/>');
});

it('a failed read rejects, and the next one tries again', async () => {
  const { directory, cache } = setup();
  directory.down = true;
  await expect(cache.get('a', 1000)).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
  directory.down = false;
  expect((await cache.get('a', 1000))?.user.uid).toBe('a');
});
