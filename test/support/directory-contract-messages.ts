/** What every directory that keeps messages promises. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Directory } from '../../src/directory/directory.ts';
import type { Message, MessageStore, StoredMessage } from '../../src/directory/message-store.ts';
import {
  MESSAGES_MAX,
  MESSAGES_PAGE,
  MESSAGES_PAGE_OLD,
  RECENT_PAGE,
  RECIPIENTS_MAX,
} from '../../src/directory/message-store.ts';
import type { OpenDirectory } from './directory-contract.ts';
import { make } from './directory-samples.ts';

const NOW = 1_700_000_000_000;

function messageOf(to: string, id: string, more: Partial<Message> = {}): Message {
  return { from: '10017676', to, id, contentType: 'text/plain', body: `body of ${id}`, sentAt: NOW, ...more };
}

/** Runs the suite. `open` gives an empty directory. */
export function messageContract(name: string, open: () => Promise<OpenDirectory>): void {
  let opened: OpenDirectory;
  const get = (): Directory => opened.directory;
  const store = (): MessageStore => {
    const { messages: kept } = get();
    if (kept === null) throw new Error('this directory keeps no messages');
    return kept;
  };
  const add = async (message: Message): Promise<StoredMessage> => {
    const stored = await store().add(message, 0);
    if (typeof stored === 'string') throw new Error(stored);
    return stored;
  };
  const idsFor = async (to: string, after = 0): Promise<string[]> =>
    (await store().list(to, after, 0)).map(({ id }) => id);

  describe(`messages that wait: ${name}`, () => {
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened.close());

    it('reads back what was stored, byte by byte, in the order in which it came', async () => {
      await make(get(), 'msg1');
      const strange = messageOf('msg1', 'b', {
        from: 'Ünïcode-€',
        contentType: 'text/plain;charset=UTF-8',
        body: 'Grüße 🙂\r\n\ttab — 你好 \u{1F600}  ',
      });
      const stored = [await add(messageOf('msg1', 'a')), await add(strange), await add(messageOf('msg1', 'B'))];
      expect(await store().list('msg1', 0, 0)).toEqual(stored);
      expect(stored[1]).toMatchObject(strange);
      const numbers = stored.map(({ number }) => number);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      expect(await idsFor('msg1', numbers[0])).toEqual(['b', 'B']);
    });

    it('tells for whom of many something waits', async () => {
      for (const uid of ['for1', 'FOR1', 'for2']) await make(get(), uid);
      await add(messageOf('for1', 'a'));
      await add(messageOf('for1', 'b'));
      const many = Array.from({ length: RECIPIENTS_MAX - 3 }, (_, i) => `nobody${i}`);
      expect(await store().recipientsAmong(['for2', 'for1', ...many, 'FOR1'])).toEqual(new Set(['for1']));
      expect(await store().recipientsAmong(['for2'])).toEqual(new Set());
      expect(await store().recipientsAmong([])).toEqual(new Set());
    });

    it('keeps a body of 64 KiB and an empty one whole', async () => {
      await make(get(), 'msg2');
      const bodies = ['x'.repeat(64 * 1024), '€'.repeat(21_845), ''];
      for (const [i, body] of bodies.entries()) await add(messageOf('msg2', String(i), { body }));
      expect((await store().list('msg2', 0, 0)).map(({ body }) => body)).toEqual(bodies);
    });

    it('takes a message once by its id of its sender', async () => {
      await make(get(), 'msg3');
      await make(get(), 'msg3b');
      await add(messageOf('msg3', 'twice'));
      expect(await store().add(messageOf('msg3', 'twice', { body: 'another' }), 0)).toBe('repeated');
      await add(messageOf('msg3', 'twice', { from: '10043939' }));
      await add(messageOf('msg3', 'Twice'));
      await add(messageOf('msg3b', 'twice'));
      expect(await store().list('msg3', 0, 0)).toHaveLength(3);
    });

    it('takes it once also from many at the same time', async () => {
      await make(get(), 'msg4');
      const answers = await Promise.all(Array.from({ length: 8 }, () => store().add(messageOf('msg4', 'rush'), 0)));
      expect(answers.filter((answer) => typeof answer !== 'string')).toHaveLength(1);
      expect(new Set(answers.filter((answer) => typeof answer === 'string'))).toEqual(new Set(['repeated']));
    });

    it('keeps none for those who are not there', async () => {
      expect(await store().add(messageOf('nobody', 'a'), 0)).toBe('unknown');
      expect(await store().add(messageOf('not a uid', 'a'), 0)).toBe('unknown');
      expect(await store().list('nobody', 0, 0)).toEqual([]);
    });

    it('removes it for its recipient only, and once', async () => {
      await make(get(), 'msg5');
      const { number } = await add(messageOf('msg5', 'a'));
      expect(await store().remove('msg1', number)).toBe(false);
      expect(await store().remove('msg5', number)).toBe(true);
      expect(await store().remove('msg5', number)).toBe(false);
      expect(await idsFor('msg5')).toEqual([]);
    });

    it('never uses a number again', async () => {
      await make(get(), 'msg6');
      const { number } = await add(messageOf('msg6', 'a'));
      await store().remove('msg6', number);
      expect((await add(messageOf('msg6', 'b'))).number).toBeGreaterThan(number);
    });

    it('removes them with the user', async () => {
      await make(get(), 'msg7');
      await add(messageOf('msg7', 'a'));
      await get().remove('msg7');
      await make(get(), 'msg7');
      expect(await idsFor('msg7')).toEqual([]);
    });

    it('gives them out in pages, also those lately stored for anybody', async () => {
      await make(get(), 'msg8');
      const first = await add(messageOf('msg8', '0'));
      for (let i = 1; i < RECENT_PAGE + 10; i++) await add(messageOf('msg8', String(i)));
      const page = await store().list('msg8', 0, 0);
      expect(page).toHaveLength(MESSAGES_PAGE);
      expect((await store().list('msg8', page.at(-1)?.number ?? 0, 0))[0]?.id).toBe(String(MESSAGES_PAGE));
      const recent = await store().recent(first.number);
      expect(recent).toHaveLength(RECENT_PAGE);
      expect(recent[0]).toMatchObject({ to: 'msg8' });
      const rest = await store().recent(recent.at(-1)?.number ?? 0);
      expect(rest).toHaveLength(9);
    });

    it('forgets what is old: it is not shown, does not count, and goes page by page', async () => {
      await make(get(), 'msg9');
      for (let i = 0; i < MESSAGES_MAX; i++) await add(messageOf('msg9', `old${i}`, { sentAt: 1_000 }));
      expect(await store().add(messageOf('msg9', 'more'), 0)).toBe('full');
      expect(await store().add(messageOf('msg9', 'new'), 1_001)).toMatchObject({ id: 'new' });
      expect(await store().list('msg9', 0, 1_001)).toHaveLength(1);
      expect(await store().removeBefore(1_000)).toBe(0);
      expect(await store().removeBefore(1_001)).toBe(MESSAGES_PAGE_OLD);
      expect(await store().removeBefore(1_001)).toBe(MESSAGES_MAX - MESSAGES_PAGE_OLD);
      expect(await store().removeBefore(1_001)).toBe(0);
      expect(await idsFor('msg9')).toEqual(['new']);
    });

    it('is never more than full, however many send at the same time', async () => {
      await make(get(), 'msg10');
      for (let i = 0; i < MESSAGES_MAX - 1; i++) await add(messageOf('msg10', String(i)));
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) => store().add(messageOf('msg10', `rush${i}`), 0)),
      );
      expect(answers.filter((answer) => answer === 'full')).toHaveLength(7);
    });
  });
}
