import { describe, expect, test } from 'vitest';
import { crc32 } from 'node:zlib';
import { answerStun, isStun } from '../../src/base/stun.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const TRANSACTION = 'b7e7a701bc34d686fa87dfae';
const BARE = hex(`00010000 2112a442 ${TRANSACTION}`);
const FROM = { host: '192.0.2.1', port: 32853 };

/** RFC 5769 section 2.1: holds PRIORITY (0x0024), which belongs to ICE. */
const SAMPLE = hex(`
  00010058 2112a442 ${TRANSACTION}
  80220010 5354554e20746573 7420636c69656e74
  00240004 6e0001ff 80290008 932ff9b151263b36
  00060009 6576746a3a683676 59202020
  00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
  80280004 e57a3bcf`);

const withAttributes = (attributes: Buffer) => {
  const bytes = Buffer.concat([BARE, attributes]);
  bytes.writeUInt16BE(attributes.length, 2);
  return bytes;
};
const withFingerprint = (bytes: Buffer) => {
  const longer = Buffer.concat([bytes, hex('8028000400000000')]);
  longer.writeUInt16BE(longer.length - 20, 2);
  longer.writeUInt32BE((crc32(longer.subarray(0, -8)) ^ 0x5354554e) >>> 0, longer.length - 4);
  return longer;
};

describe('a Binding request', () => {
  test('is answered with XOR-MAPPED-ADDRESS, over IPv4 as in RFC 5769 section 2.2', () => {
    expect(answerStun(BARE, FROM)).toEqual(hex(`0101000c 2112a442 ${TRANSACTION} 00200008 0001a147e112a643`));
  });

  test('and over IPv6 as in RFC 5769 section 2.3', () => {
    const from = { host: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 };
    expect(answerStun(BARE, from)?.subarray(20)).toEqual(hex('00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9'));
  });

  test('with a fingerprint gets one', () => {
    const answer = answerStun(withFingerprint(BARE), FROM);
    if (answer === null) throw new Error('no answer');
    expect(answer.readUInt16BE(2)).toBe(answer.length - 20);
    expect(withFingerprint(answer.subarray(0, -8))).toEqual(answer);
  });

  test('with an unknown comprehension-required attribute gets 420 and its number', () => {
    const answer = answerStun(SAMPLE, FROM);
    expect(answer?.readUInt16BE(0)).toBe(0x0111);
    expect(answer?.includes(Buffer.concat([hex('00090015 00000414'), Buffer.from('Unknown Attribute')]))).toBe(true);
    expect(answer?.includes(hex('000a0002 00240000'))).toBe(true);
  });

  test('CHANGE-REQUEST of RFC 5780 is not known', () => {
    expect(answerStun(withAttributes(hex('0003000400000006')), FROM)?.readUInt16BE(0)).toBe(0x0111);
  });

  test('unknown optional attributes, and credentials, are ignored', () => {
    const attributes = hex('80220004 61626364 00060003 61626300 80290008 0102030405060708');
    expect(answerStun(withAttributes(attributes), FROM)?.readUInt16BE(0)).toBe(0x0101);
  });

  test('the list of unknown attributes is bounded', () => {
    const many = Buffer.concat(Array.from({ length: 200 }, (_, i) => hex((0x4000 + i).toString(16) + '0000')));
    expect(answerStun(withAttributes(many), FROM)?.length).toBeLessThan(100);
  });
});

describe('ignored', () => {
  const altered = (at: number, value: number) => {
    const bytes = Buffer.from(SAMPLE);
    bytes[at] = value;
    return bytes;
  };
  test.each([
    ['a wrong fingerprint', altered(107, 0)],
    ['a wrong magic cookie', altered(4, 0)],
    ['a response', altered(0, 1)],
    ['an indication', altered(1, 0x11)],
    ['a wrong length', altered(3, 0x54)],
    ['a truncated one', SAMPLE.subarray(0, 60)],
    ['an attribute that runs over the end', withAttributes(hex('80220008 61626364'))],
    ['a fingerprint that is not last', withAttributes(Buffer.concat([hex('8028000400000000'), hex('80220000')]))],
    ['text', Buffer.from('Hello\r\nid: 1\r\n\r\n')],
    ['nothing', Buffer.alloc(0)],
  ])('%s', (_, bytes) => {
    expect(answerStun(bytes, FROM)).toBeNull();
  });

  test('text is never taken for STUN', () => {
    expect(isStun(Buffer.from('Heartbeat\r\nid: r1\r\n\r\n'))).toBe(false);
    expect(isStun(SAMPLE)).toBe(true);
  });
});
