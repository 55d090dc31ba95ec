/** `locate.mode: full` where the directory's word is older than what the owner knows. */
import { expect, it } from 'vitest';
import { NO_FORWARDING } from '../../src/base/model.ts';
import type { Located } from '../../src/locator/locate.ts';
import { locateAtOwner } from '../../src/login/locate-at-owner.ts';
import { serverRecord } from '../support/flows.ts';

const OFFLINE: Located = { kind: 'offline', uid: 'a', lastSeen: null, forwarding: NO_FORWARDING };
const at = (name: string): Located => ({ kind: 'see-also', uid: 'a', server: serverRecord({ name }, 0) });
/** Whoever has him answers this. */
const FOUND: Located = { ...OFFLINE, uid: 'found' };

/** What the nodes answer, and what the directory says when it is asked again. */
async function located(answers: Record<string, Located | null>, again: Located): Promise<Located> {
  const owner = { locate: ({ name }: { name: string }) => Promise.resolve(answers[name]) };
  return locateAtOwner(owner, at('old'), () => Promise.resolve(again), 'asker');
}

it('asks the node to which a user has gone on meanwhile', async () => {
  expect(await located({ old: null, next: FOUND }, at('next'))).toEqual(FOUND);
});

it('sends the client there where that one does not answer', async () => {
  expect(await located({ old: null }, at('next'))).toEqual(at('next'));
});

it('takes the word of an owner whom the directory names again, and of the directory where it names nobody', async () => {
  expect(await located({ old: null, next: FOUND }, at('old'))).toEqual(OFFLINE);
  expect(await located({ old: null }, { ...OFFLINE, lastSeen: 7 })).toEqual({ ...OFFLINE, lastSeen: 7 });
});
