/** `field=value` arguments of `vserver user add` and `user set`. */
import { expect, test } from 'vitest';
import { CommandError } from '../../src/cli/failures.ts';
import { readChanges } from '../../src/cli/fields.ts';

test('fields of one group become one change of it; what is not named is absent', () => {
  expect(readChanges(['alias=Li Wei', 'age=', 'buddies=1, 2,', 'blocked=', 'forwardBusy=sip:a@b?x=y'])).toEqual({
    basic: { alias: 'Li Wei', age: null },
    lists: { buddies: ['1', '2'], blocked: [] },
    forwarding: { busy: 'sip:a@b?x=y' },
  });
  expect(readChanges(['enabled=no', 'expiresAt=2030-01-01', 'devicesMax=3'])).toEqual({
    service: { enabled: false, expiresAt: Date.UTC(2030, 0, 1), devicesMax: 3 },
  });
  expect(readChanges(['expiresAt=never', 'privacy=buddies'])).toEqual({
    service: { expiresAt: null, privacy: 'buddies' },
  });
});

test('a list is parted by commas or semicolons', () => {
  const contact = { telephones: ['+1', '+2', '+3'], mails: ['a@x', 'b@x'] };
  expect(readChanges(['telephones=+1;+2, +3', 'mails=a@x;b@x;'])).toEqual({ contact });
});

test('VOIP accounts are JSON, checked key by key', () => {
  expect(readChanges(['voip=[{"type":"SIP","e164":"1"}]'])).toEqual({ voip: [{ type: 'SIP', e164: '1' }] });
  expect(readChanges(['voip='])).toEqual({ voip: [] });
});

test.each([
  ['alias', 'must be field=value'],
  ['nonsense=1', 'nonsense: no such field'],
  ['toString=1', 'toString: no such field'],
  ['enabled=perhaps', 'enabled: must be yes or no'],
  ['devicesMax=many', 'devicesMax: must be a number'],
  ['privacy=friends', 'privacy: must be one of: all, buddies, none'],
  ['expiresAt=soon', 'expiresAt: must be a date'],
  ['xmlext=@/no/such/file', "xmlext: /no/such/file can't be read"],
  ['voip={}', 'voip: must be a JSON list'],
  ['voip=[{"type":"X"}]', 'voip: account 1: type must be SIP or H323'],
  ['voip=[{"e164":"1"}]', 'voip: account 1: type is missing'],
  ['voip=[{"type":"SIP","ttl":60}]', 'voip: account 1: ttl must be text'],
  ['voip=[{"type":"SIP","pwd":"x"}]', 'voip: account 1: pwd is no field'],
])('%s is refused, and the field is named', (arg, message) => {
  expect(() => readChanges([arg])).toThrow(message);
  expect(() => readChanges([arg])).toThrow(CommandError);
});

test('a value that is no JSON is not shown: it may hold a password', () => {
  expect(() => readChanges(['voip=[{"password":"s3cret'])).toThrow(/^voip: is no JSON$/);
});
