import { describe, expect, it } from 'vitest';
import { FRAGMENT_BYTES_MAX } from '../../src/base/model.ts';
import { checkFragment, isXmlText } from '../../src/config-xml/fragment.ts';

const nested = (levels: number): string => '<a>'.repeat(levels) + '</a>'.repeat(levels);

describe('fragments that may go into a document', () => {
  const good: Record<string, string> = {
    nothing: '',
    'text alone': 'hello',
    'several elements': '<a/><b x="1">t</b>',
    'predefined entities': '&lt;&gt;&amp;&quot;&apos;',
    'character references': '&#65;&#x1F600;&#x10FFFF;',
    'a CDATA section': '<![CDATA[ </EXT> & ]]>',
    'a comment': '<!-- </EXT> -->',
    'a prefix declared in the fragment': '<p:a xmlns:p="urn:x" p:b="1"/>',
    'a default namespace': '<a xmlns="urn:x"><b/></a>',
    'the built-in xml prefix': '<a xml:lang="en"/>',
    'Chinese and emoji': '<名>你好😀</名>',
    '32 levels': nested(32),
    'exactly 16 KiB': 'x'.repeat(FRAGMENT_BYTES_MAX),
    'an inner EXT': '<EXT><EXT/></EXT>',
  };
  for (const [name, xml] of Object.entries(good)) it(name, () => expect(checkFragment(xml)).toBeNull());
});

describe('fragments that are refused, with a reason', () => {
  const bad: Record<string, [xml: string, reason: RegExp]> = {
    'a DOCTYPE': ['<!DOCTYPE a>', /doctype/i],
    'a DOCTYPE with an entity bomb': ['<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', /doctype/i],
    'an XML declaration': ['<?xml version="1.0"?><a/>', /declaration|processing/i],
    'an XML declaration in the middle': ['<a/><?xml version="1.0"?>', /declaration|processing/i],
    'an empty XML declaration': ['<?xml?>', /./],
    'a processing instruction': ['<?php echo 1 ?>', /processing instruction/],
    'a stylesheet instruction inside an element': ['<a><?xml-stylesheet href="x"?></a>', /processing instruction/],
    'an undefined entity': ['<a>&nbsp;</a>', /entity/],
    'an undefined entity in an attribute': ['<a b="&x;"/>', /entity/],
    'a bare ampersand': ['a & b', /./],
    'an entity cut short': ['<a/>&am', /./],
    'an undeclared prefix on an element': ['<p:a/>', /prefix/],
    'an undeclared prefix on an attribute': ['<a p:b="1"/>', /prefix/],
    'a prefix out of its scope': ['<a xmlns:p="urn:x"/><p:b/>', /prefix/],
    'a prefix that is undeclared again': ['<a xmlns:p="urn:x"><b xmlns:p="" p:c="1"/></a>', /./],
    'a prefix named like a property of objects': ['<constructor:a/>', /prefix/],
    'a redefined xml prefix': ['<a xmlns:xml="urn:x"/>', /xml/],
    'the closing tag of EXT': ['</EXT>', /closing tag/],
    'the closing and reopening of EXT': ['</EXT><EXT>', /closing tag/],
    'the closing tags of EXT and PRIVATE': ['</EXT></PRIVATE><PRIVATE ID="1"><EXT>', /closing tag/],
    'the closing tag of PRIVATE': ['</PRIVATE>', /./],
    'the closing tag of EXT after an element': ['<a/></EXT><VOIP/>', /closing tag/],
    'an element not closed': ['<a>', /not closed/],
    'a tag cut short': ['<a b="1"', /./],
    'an attribute cut short': ['<a b="', /./],
    'a lone less-than sign': ['1 < 2', /./],
    'a less-than sign at the end': ['<', /./],
    'elements closed in the wrong order': ['<a><b></a></b>', /./],
    'a closing tag in another case': ['<a></A>', /./],
    'a CDATA section not closed': ['<![CDATA[ x', /./],
    'a comment not closed': ['<!-- x', /./],
    'two hyphens in a comment': ['<!-- a -- b -->', /./],
    ']]> in the text of an element': ['<a>]]></a>', /]]>/],
    ']]> in text outside of an element': ['x]]>y', /]]>/],
    'the same attribute twice': ['<a b="1" b="2"/>', /duplicate/],
    'the same attribute twice by two prefixes': ['<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>', /duplicate/],
    'an attribute without quotes': ['<a b=1/>', /./],
    'an attribute without a value': ['<a b/>', /./],
    'a less-than sign in an attribute': ['<a b="<"/>', /./],
    'a reference to character 0': ['&#0;', /./],
    'a reference to a control character': ['<a b="&#x1;"/>', /./],
    'a reference to a surrogate': ['&#xD800;', /./],
    'a reference past Unicode': ['&#x110000;', /./],
    'a reference without digits': ['&#x;', /./],
    'a NUL': ['a\0b', /character/],
    'a control character': ['<a>\u0008</a>', /character/],
    'a non-character': ['\uFFFE', /character/],
    'a lone high surrogate': ['a\uD83D<b/>', /character/],
    'a high surrogate at the end': ['a\uD83D', /character/],
    'a lone low surrogate': ['\uDE00', /character/],
    'an element name that begins with a digit after its prefix': ['<a xmlns:p="u"><p:1/></a>', /name/],
    'an attribute name that begins with a digit after its prefix': ['<a xml:1="x"/>', /name/],
    'a name with two colons': ['<a xmlns:b="u" b:c:d="1"/>', /./],
    'an element declaration': ['<!ELEMENT a ANY>', /./],
    '33 levels': [nested(33), /32 levels/],
    'thousands of levels': ['<a>'.repeat(5000), /32 levels/],
    'one byte more than 16 KiB': ['x'.repeat(FRAGMENT_BYTES_MAX + 1), /16384 bytes/],
    '16 KiB counted in bytes, not in characters': ['é'.repeat(FRAGMENT_BYTES_MAX / 2 + 1), /16384 bytes/],
  };
  for (const [name, [xml, reason]] of Object.entries(bad)) it(name, () => expect(checkFragment(xml)).toMatch(reason));

  it('with a reason of bounded length', () => {
    expect(checkFragment(`<${'p'.repeat(10_000)}:a/>`)?.length).toBeLessThan(200);
  });
});

it('isXmlText answers the same when asked twice', () => {
  expect([isXmlText('a\0'), isXmlText('\0'), isXmlText('a'), isXmlText('\0')]).toEqual([false, false, true, false]);
});
