/** Messages that wait for their recipients, in SQL. */
import { isUid } from '../base/model.ts';
import type { Message, MessageStore, StoredMessage } from './message-store.ts';
import { MESSAGES_MAX, MESSAGES_PAGE, MESSAGES_PAGE_OLD, RECENT_PAGE } from './message-store.ts';
import type { SqlDriver, SqlRow } from './sql-driver.ts';
import { insertSql } from './sql-users.ts';

const COLUMNS = ['recipient', 'sender', 'message_id', 'content_type', 'body', 'sent_at'] as const;
const INSERT = insertSql('messages', COLUMNS, 1);
const NUMBER = 'SELECT number FROM messages WHERE recipient = ? AND sender = ? AND message_id = ?';
const COUNT = 'SELECT COUNT(*) AS count FROM messages WHERE recipient = ? AND sent_at >= ?';
const LIST = `SELECT number, ${COLUMNS.join(', ')} FROM messages
  WHERE recipient = ? AND number > ? AND sent_at >= ? ORDER BY number LIMIT ${MESSAGES_PAGE}`;
const RECENT = `SELECT number, recipient FROM messages WHERE number > ? ORDER BY number LIMIT ${RECENT_PAGE}`;
const OLD = `SELECT number FROM messages WHERE sent_at < ? ORDER BY sent_at LIMIT ${MESSAGES_PAGE_OLD}`;
/** Sizes of the list in `IN (…)`; few, so that few statements are prepared. */
const REMOVAL_SIZES = [8, 64, MESSAGES_PAGE_OLD];

export function sqlMessages(driver: SqlDriver): MessageStore {
  const { forUpdate } = driver.dialect;
  return {
    async add(message, sinceMs) {
      const { to, from, id, contentType, body, sentAt } = message;
      if (!isUid(to)) return 'unknown';
      return driver.transaction('normal', async (tx) => {
        // Locks him, so that two senders at once do not get past the bound.
        const [recipient] = await tx.query(`SELECT uid FROM users WHERE uid = ?${forUpdate}`, [to]);
        if (recipient === undefined) return 'unknown';
        const key = [to, from, id];
        if ((await tx.query(NUMBER, key)).length > 0) return 'repeated';
        const [waiting] = await tx.query(COUNT, [to, sinceMs]);
        if (Number(waiting?.['count']) >= MESSAGES_MAX) return 'full';
        await tx.run(INSERT, [...key, contentType, body, sentAt]);
        const [stored] = await tx.query(NUMBER, key);
        return { ...message, number: Number(stored?.['number']) };
      });
    },
    async list(to, after, sinceMs) {
      if (!isUid(to)) return [];
      return (await driver.query(LIST, [to, after, sinceMs])).map(readMessage);
    },
    async remove(to, number) {
      if (!isUid(to)) return false;
      return (await driver.run('DELETE FROM messages WHERE number = ? AND recipient = ?', [number, to])) === 1;
    },
    async recent(after) {
      const rows = await driver.query(RECENT, [after]);
      return rows.map((row) => ({ number: Number(row['number']), to: String(row['recipient']) }));
    },
    async removeBefore(sentAt) {
      const numbers = (await driver.query(OLD, [sentAt])).map((row) => Number(row['number']));
      const [first] = numbers;
      if (first === undefined) return 0;
      const size = REMOVAL_SIZES.find((candidate) => candidate >= numbers.length) ?? MESSAGES_PAGE_OLD;
      const list = [...numbers, ...Array<number>(size - numbers.length).fill(first)];
      await driver.run(`DELETE FROM messages WHERE number IN (${list.map(() => '?').join(', ')})`, list);
      return numbers.length;
    },
  };
}

function readMessage(row: SqlRow): StoredMessage {
  const text = (column: (typeof COLUMNS)[number]): string => String(row[column]);
  const message: Message = {
    from: text('sender'),
    to: text('recipient'),
    id: text('message_id'),
    contentType: text('content_type'),
    body: text('body'),
    sentAt: Number(row['sent_at']),
  };
  return { ...message, number: Number(row['number']) };
}
