import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SEEN_STATUSES } from '../../src/presence/compose.ts';
import { PIDF_BYTES_MAX, readPidf, renderPidf } from '../../src/sip/pidf.ts';

const NAMESPACES =
  'xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"';

/** As a phone writes it. */
function document(content: string): Buffer {
  return Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<presence ${NAMESPACES} entity="sip:a@b">${content}</presence>`,
  );
}

function tuple(basic: string, more = ''): string {
  return `<tuple id="t1"><status><basic>${basic}</basic></status>${more}</tuple>`;
}

function person(activities: string, more = ''): string {
  return `<dm:person id="p1"><rpid:activities>${activities}</rpid:activities>${more}</dm:person>`;
}

describe('a presence document', () => {
  it.each(SEEN_STATUSES)('of %s reads as it was written', (status) => {
    const note = status === 'offline' ? '' : 'in <Zürich> & "away"';
    const read = readPidf(renderPidf('a@example.com', { status, note }));
    expect(read).toEqual({ status: status === 'offline' ? 'invisible' : status, note });
  });

  it('is what watchers know: open with an activity, closed without anything', () => {
    expect(renderPidf('a&b@c', { status: 'busy', note: '' }).toString()).toBe(
      `<?xml version="1.0" encoding="UTF-8"?>\n<presence ${NAMESPACES} entity="pres:a&#38;b@c"><tuple id="t"><status>` +
        '<basic>open</basic></status></tuple><dm:person id="p"><rpid:activities><rpid:busy/></rpid:activities></dm:person></presence>\n',
    );
    expect(renderPidf('a@b', { status: 'offline', note: '' }).toString()).toContain('<basic>closed</basic>');
  });

  it('leaves out what XML can not hold', () => {
    expect(renderPidf('a@b', { status: 'online', note: 'a\u0001b\ud800c' }).toString()).toContain('<note>abc</note>');
  });

  it.each([
    [tuple('open'), { status: 'online', note: '' }],
    [tuple('closed'), { status: 'invisible', note: '' }],
    [tuple('closed') + tuple('open'), { status: 'online', note: '' }],
    [tuple(' open ', '<note> out </note>'), { status: 'online', note: 'out' }],
    [tuple('open') + person('<rpid:meeting/>'), { status: 'busy', note: '' }],
    [tuple('open') + person('<rpid:away/><rpid:on-the-phone/>'), { status: 'on-phone', note: '' }],
    [
      tuple('open') + person('<rpid:lunch/>', '<dm:note>back\r\n at 2</dm:note>'),
      { status: 'away', note: 'back at 2' },
    ],
    [tuple('open') + person('<rpid:other>dancing</rpid:other>'), { status: 'online', note: '' }],
    [person('<rpid:busy/>'), { status: 'busy', note: '' }],
    [tuple('unknown'), { status: 'online', note: '' }],
    [tuple('unknown') + tuple('closed'), { status: 'invisible', note: '' }],
    [
      tuple('open') + '<x:busy xmlns:x="urn:else"><x:activities><rpid:busy/></x:activities></x:busy>',
      { status: 'online', note: '' },
    ],
    [tuple('open', '<note><![CDATA[<b>]]></note>'), { status: 'online', note: '<b>' }],
    [tuple('open', `<note>${'é'.repeat(200)}</note>`), { status: 'online', note: 'é'.repeat(96) }],
  ])('%s', (content, expected) => {
    expect(readPidf(document(content))).toEqual(expected);
  });
});

describe('refused is', () => {
  const levels = (count: number): string => `${'<a>'.repeat(count)}${'</a>'.repeat(count)}`;

  it.each<[string, Buffer | string]>([
    ['nothing', ''],
    ['no XML', 'hello'],
    ['what is cut off', document(tuple('open')).subarray(0, 200)],
    ['another root', '<presence/>'],
    ['something behind it', Buffer.concat([document(tuple('open')), Buffer.from('<a/>')])],
    ['a DOCTYPE', `<!DOCTYPE presence>${document('').toString().slice(40)}`],
    [
      'an external entity',
      `<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><presence ${NAMESPACES}>${tuple('open', '<note>&x;</note>')}</presence>`,
    ],
    [
      'a billion laughs',
      `<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><presence ${NAMESPACES}><note>&b;</note></presence>`,
    ],
    ['an entity that nobody defined', document(tuple('open', '<note>&x;</note>'))],
    ['a processing instruction', document('<?php evil ?>')],
    ['another encoding', `<?xml version="1.0" encoding="UTF-16"?><presence ${NAMESPACES}/>`],
    ['bytes that are no UTF-8', Buffer.concat([document(''), Buffer.from([0xff])])],
    ['a character that XML has not', document(`<note>\u0001</note>`)],
    ['the same as a reference', document('<note>&#1;</note>')],
    ['an undefined prefix', document('<evil:note/>')],
    ['an attribute twice', document('<note a="1" a="2"/>')],
    ['too many levels', document(levels(16))],
    ['too many elements', document('<a/>'.repeat(500))],
    ['too many bytes', document(`<note>${'x'.repeat(PIDF_BYTES_MAX)}</note>`)],
  ])('%s', (_, body) => {
    expect(readPidf(Buffer.from(body))).toBeNull();
  });

  it('not what is just within the bounds', () => {
    expect(readPidf(document(levels(15)))).not.toBeNull();
    expect(readPidf(document('<a/>'.repeat(499)))).not.toBeNull();
  });
});

describe('a document as phones write it', () => {
  const piece = fc.constantFrom(
    ...[
      '<tuple id="t">',
      '</tuple>',
      '<status>',
      '</status>',
      '<basic>',
      '</basic>',
      'open',
      ' closed ',
      '<note>',
      '</note>',
    ],
    ...[
      '<note xml:lang="en">',
      "<dm:person id='p'>",
      '</dm:person>',
      '<rpid:activities>',
      '</rpid:activities>',
      '</a >',
    ],
    ...[
      '<rpid:busy/>',
      '<rpid:away />',
      '<x:busy/>',
      '<rpid:activities xmlns:rpid="urn:else">',
      '<a b="1" c="<">',
      '<a>',
    ],
    ...[
      '<a b="1" b="2">',
      '<a b="1"c="2">',
      '<a b = "1" >',
      'back\r\n at 2',
      'é',
      '&amp;',
      ']]>',
      '>',
      '<![CDATA[x]]>',
      '\t',
    ],
  );
  const whole = fc.constantFrom(
    tuple('open'),
    tuple('closed', '<note>out</note>'),
    tuple('open') + person('<rpid:meeting/>'),
    person('<rpid:lunch/>', '<dm:note>soon</dm:note>'),
  );
  const head = fc.constantFrom(
    `<presence ${NAMESPACES} entity="sip:a@b">`,
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<presence ${NAMESPACES}>`,
    `<?xml version='1.0'?><presence ${NAMESPACES}>`,
    `<p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" ${NAMESPACES}>`,
    `<presence ${NAMESPACES} xmlns:a="http://www.w3.org/XML/1998/namespace">`,
    `<presence ${NAMESPACES} xmlns="urn:twice">`,
    `<presence ${NAMESPACES} xmlns:a="">`,
    '<presence>',
  );
  const foot = fc.constantFrom('</presence>', '</presence>\n', '</p:presence>', '</presence><a/>', '');
  const damage = fc.option(fc.tuple(fc.nat(600), fc.nat(127)), { freq: 5 });

  it('reads as one that the parser has to read, well formed or not', () => {
    const content = fc.array(fc.oneof(piece, whole), { maxLength: 8 });
    fc.assert(
      fc.property(head, content, foot, damage, (begin, parts, end, spoilt) => {
        const bytes = Buffer.from(begin + parts.join('') + end);
        if (spoilt !== null && spoilt[0] < bytes.length) bytes[spoilt[0]] = spoilt[1];
        // A comment is out of the ordinary.
        expect(readPidf(bytes)).toEqual(readPidf(Buffer.concat([bytes, Buffer.from('<!-- -->')])));
      }),
      { numRuns: 3_000 },
    );
  });
});
