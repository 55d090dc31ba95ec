/** The check of XML fragments (`xmlext`, `SYSTEM_EXT`) before they are stored or copied into a document. */
import { SaxesParser } from 'saxes';
import { FRAGMENT_BYTES_MAX } from '../base/model.ts';

export const FRAGMENT_LEVELS_MAX = 32;

const REASON_CHARACTERS_MAX = 160;

/** What may not stand in an XML 1.0 document, not even as a reference (XML 1.0 section 2.2, Char). */
export const NO_XML_CHARACTERS = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;

export function isXmlText(text: string): boolean {
  return text.search(NO_XML_CHARACTERS) < 0;
}

/**
 * Whether the fragment may be copied as it is into an EXT element (DIRECTORY.md section 6): well-formed as content
 * of an element, no DOCTYPE, processing instruction, XML declaration, undefined entity or prefix, bounded in size
 * and depth. null where it may, else the reason.
 */
export function checkFragment(xml: string): string | null {
  // Most users have none, and an import checks every one.
  if (xml === '') return null;
  if (xml.length > FRAGMENT_BYTES_MAX || Buffer.byteLength(xml) > FRAGMENT_BYTES_MAX) {
    return `longer than ${FRAGMENT_BYTES_MAX} bytes`;
  }
  // saxes takes a high surrogate for half of a pair without a look at the other half.
  if (!isXmlText(xml)) return 'holds a character that XML 1.0 does not allow';
  try {
    parseStrictly(xml);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, REASON_CHARACTERS_MAX) : 'not well-formed';
  }
}

/** Throws at the first thing that is not allowed: saxes throws by itself where it has no handler for errors. */
function parseStrictly(xml: string): void {
  const parser = new SaxesParser({ xmlns: true, fragment: true });
  let level = 0;
  parser.on('doctype', () => refuse('a DOCTYPE is not allowed'));
  parser.on('processinginstruction', () => refuse('a processing instruction is not allowed'));
  parser.on('xmldecl', () => refuse('an XML declaration is not allowed'));
  parser.on('opentagstart', () => {
    // The EXT around the fragment is a level of the parser, but not of the fragment.
    if (++level > FRAGMENT_LEVELS_MAX + 1) refuse(`more than ${FRAGMENT_LEVELS_MAX} levels`);
  });
  parser.on('attribute', ({ prefix, local }) => checkNames(prefix, local));
  parser.on('opentag', ({ prefix, local }) => checkNames(prefix, local));
  parser.on('closetag', () => {
    if (--level === 0) refuse('a closing tag without an opening one');
  });
  // Inside an element, because saxes lets "]]>" pass in text outside of one.
  parser.write('<EXT>').write(xml);
  if (level !== 1) refuse('an element is not closed');
  parser.off('closetag');
  parser.write('</EXT>').close();
}

/** Namespaces in XML 1.0, NCName: both parts begin like a name. saxes looks only at the first character of the whole. */
function checkNames(prefix: string, local: string): void {
  if (NO_NAME_START.test(local) || NO_NAME_START.test(prefix)) refuse('a name does not begin with a letter or "_"');
}
const NO_NAME_START = /^[-.0-9\u{B7}\u{300}-\u{36F}\u{203F}-\u{2040}]/u;

function refuse(reason: string): never {
  throw new Error(reason);
}
