/** Messages that wait for their recipients, in SQL. */
import { isUid } from '../base/model.ts';
import type { Message, MessageStore, StoredMessage } from './message-store.ts';
import { MESSAGES_MAX, MESSAGES_PAGE, MESSAGES_PAGE_OLD, RECENT_PAGE, RECIPIENTS_MAX } from './message-store.ts';
import type { SqlDriver, SqlRow, SqlValue } from './sql-driver.ts';
import { insertSql } from './sql-users.ts';

const COLUMNS = ['recipient', 'sender', 'message_id', 'content_type', 'body', 'sent_at'] as const;
const INSERT = insertSql('messages', COLUMNS, 1);
const NUMBER = 'SELECT number FROM messages WHERE recipient = ? AND sender = ? AND message_id = ?';
const COUNT = 'SELECT COUNT(*) AS count FROM messages WHERE recipient = ? AND sent_at >= ?';
const LIST = `SELECT number, ${COLUMNS.join(', ')} FROM messages
  WHERE recipient = ? AND number > ? AND sent_at >= ? ORDER BY number LIMIT ${MESSAGES_PAGE}`;
const RECENT = `SELECT number, recipient FROM messages WHERE number > ? ORDER BY number LIMIT ${RECENT_PAGE}`;
const OLD = `SELECT number FROM messages WHERE sent_at < ? ORDER BY sent_at LIMIT ${MESSAGES_PAGE_OLD}`;
/** Sizes of the lists in `IN (…)`; few, so that few statements are prepared. */
const REMOVAL_SIZES = [8, 64, MESSAGES_PAGE_OLD];
const RECIPIENT_SIZES = [8, 64, RECIPIENTS_MAX];

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
    async recipientsAmong(uids) {
      if (uids.length === 0) return new Set();
      const sql = (marks: string): string => `SELECT DISTINCT recipient FROM messages WHERE recipient IN (${marks})`;
      const rows = await driver.query(...inList(sql, uids, RECIPIENT_SIZES));
      return new Set(rows.map((row) => String(row['recipient'])));
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
      if (numbers.length === 0) return 0;
      const sql = (marks: string): string => `DELETE FROM messages WHERE number IN (${marks})`;
      await driver.run(...inList(sql, numbers, REMOVAL_SIZES));
      return numbers.length;
    },
  };
}

/** The statement for one of `sizes` values, and the values, filled up to that size with the first of them. */
function inList<T extends SqlValue>(
  sql: (marks: string) => string,
  values: readonly T[],
  sizes: readonly number[],
): [sql: string, values: readonly T[]] {
  const size = sizes.find((candidate) => candidate >= values.length) ?? values.length;
  return [sql(Array(size).fill('?').join(', ')), Array.from({ length: size }, (_, i) => values[i] ?? (values[0] as T))];
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
