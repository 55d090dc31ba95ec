import { describe, expect, test } from 'vitest';
import { checkTicket, isAsker, issueTicket, TICKET_VALID_S } from '../../src/redirect/tickets.ts';

const KEY = 'cluster key';
const T = 1_790_000_000_000;
const ticket = {
  purpose: 'locate',
  asker: '10017676',
  target: '10043939',
  server: 'vserver90',
  issuer: 'vserver1',
  hops: 1,
} as const;
const expected = { purpose: 'locate', server: 'vserver90', target: '10043939' } as const;

test('a ticket tells who asks, how often he was sent on, and by whom', () => {
  const check = checkTicket(KEY, issueTicket(KEY, { ...ticket, hops: 3 }, T), expected, T);
  if (check.outcome !== 'good') throw new Error(check.outcome);
  expect(check).toMatchObject({ asker: { kind: 'uid', uid: '10017676' }, hops: 3 });
  expect(check.isFrom('vserver1')).toBe(true);
  expect(check.isFrom('vserver90')).toBe(false);
});

test('it is good for 60 s', () => {
  const text = issueTicket(KEY, ticket, T);
  expect(checkTicket(KEY, text, expected, T + TICKET_VALID_S * 1000).outcome).toBe('good');
  expect(checkTicket(KEY, text, expected, T + TICKET_VALID_S * 1000 + 1).outcome).toBe('expired');
});

test('where the target does not matter, any will do', () => {
  expect(checkTicket(KEY, issueTicket(KEY, ticket, T), { ...expected, target: null }, T).outcome).toBe('good');
});

test.each([
  { ...expected, purpose: 'login' as const },
  { ...expected, server: 'vserver1' },
  { ...expected, target: '10017676' },
])('for another purpose, server or target it is misused', (other) => {
  expect(checkTicket(KEY, issueTicket(KEY, ticket, T), other, T)).toEqual({ outcome: 'misused' });
});

test('of another cluster, altered, cut off or empty it is forged', () => {
  const text = issueTicket(KEY, ticket, T);
  expect(checkTicket('other', text, expected, T).outcome).toBe('forged');
  for (const other of ['', 'x', text.slice(4), text.slice(0, -4), `${text}AAAA`, 'A'.repeat(200), 'A'.repeat(201)]) {
    expect(checkTicket(KEY, other, expected, T).outcome).toBe('forged');
  }
  for (let i = 0; i < text.length - 1; i++) {
    const altered = text.slice(0, i) + (text[i] === 'A' ? 'B' : 'A') + text.slice(i + 1);
    expect(checkTicket(KEY, altered, expected, T).outcome).toBe('forged');
  }
});

describe('with the longest uids it has at most 200 characters', () => {
  test.each([
    ['64 letters', 'u'.repeat(64), 'uid'],
    ['64 characters of 4 bytes', '𠀀'.repeat(64), 'hash'],
  ])('%s', (_, uid, kind) => {
    const text = issueTicket(KEY, { ...ticket, asker: uid, target: uid, server: 's'.repeat(255) }, T);
    expect(text).toMatch(/^[\w-]{1,200}$/);
    const check = checkTicket(KEY, text, { ...expected, server: 's'.repeat(255), target: uid }, T);
    if (check.outcome !== 'good') throw new Error(check.outcome);
    expect(check.asker.kind).toBe(kind);
    expect(isAsker(check.asker, uid)).toBe(true);
    expect(isAsker(check.asker, `${uid.slice(2)}zz`)).toBe(false);
  });
});

test.each([0, 4, 1.5, NaN])('there is none for hop %s', (hops) => {
  expect(() => issueTicket(KEY, { ...ticket, hops }, T)).toThrow(RangeError);
});
