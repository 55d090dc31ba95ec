/**
 * XML as phones write it, read by two regular expressions: ASCII, elements and text, namespaces declared at the root. A
 * parser takes ten times as long. Whatever else stands in a document, well formed or not, is left to the parser; where
 * both read it they see the same (held by test/unit/pidf.test.ts).
 */

/** Who hears of the elements in their order. What it throws ends the reading. */
export interface ElementReader {
  open(uri: string, local: string): void;
  text(some: string): void;
  close(): void;
}

const PLAIN = /^[\t\r\n\x20-\x7e]*$/;
const DECLARATION = /^<\?xml version="1\.0" encoding="(?:UTF|utf)-8"\?>\s*/;
/** Closing slash, prefix, local name, attributes, slash of an empty element. */
const TAG =
  /<(\/?)(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)((?:\s+[A-Za-z_][\w.:-]*\s*=\s*(?:"[^"<&]*"|'[^'<&]*'))*)\s*(\/?)>/y;
const ATTRIBUTE = /([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const XMLNS = 'xmlns';

/** `text` has no space at its ends. False: it is out of the ordinary, and what the reader heard counts for nothing. */
export function readQuickly(text: string, reader: ElementReader): boolean {
  if (!PLAIN.test(text)) return false;
  const open: string[] = [];
  let namespaces: ReadonlyMap<string, string> | null = null;
  let at = DECLARATION.exec(text)?.[0].length ?? 0;
  for (;;) {
    TAG.lastIndex = at;
    const tag = TAG.exec(text);
    if (tag === null) return false;
    const [whole, isEnd = '', prefix = '', local = '', attributes = '', isEmpty = ''] = tag;
    at += whole.length;
    const name = `${prefix}:${local}`;
    if (isEnd !== '') {
      if (attributes !== '' || isEmpty !== '' || open.pop() !== name) return false;
      reader.close();
    } else {
      if (namespaces === null) namespaces = namespacesOf(attributes);
      else if (attributes !== '' && namespacesOf(attributes)?.size !== 0) return false;
      const uri = namespaces?.get(prefix);
      if (uri === undefined) return false;
      reader.open(uri, local);
      if (isEmpty === '') open.push(name);
      else reader.close();
    }
    const next = text.indexOf('<', at);
    if (open.length === 0) return at === text.length;
    if (next < 0) return false;
    if (next > at) {
      const some = text.slice(at, next);
      if (some.includes('&') || some.includes(']]>')) return false;
      reader.text(some);
    }
    at = next;
  }
}

/** By prefix, '' for the default; null where an attribute is out of the ordinary. */
function namespacesOf(attributes: string): ReadonlyMap<string, string> | null {
  const names = new Set<string>();
  const namespaces = new Map<string, string>();
  for (const [, name = '', double, single] of attributes.matchAll(ATTRIBUTE)) {
    if (names.has(name)) return null;
    names.add(name);
    const colon = name.indexOf(':');
    if (name !== XMLNS && colon < 0) continue;
    const prefix = colon < 0 ? '' : name.slice(colon + 1);
    const uri = double ?? single ?? '';
    if (colon >= 0 && name.slice(0, colon) !== XMLNS) return null;
    // The names of XML itself have rules of their own.
    if (!/^[\w.:/#-]+$/.test(uri) || uri.includes('w3.org') || /:|^xml/i.test(prefix) || (colon >= 0 && prefix === ''))
      return null;
    namespaces.set(prefix, uri);
  }
  return namespaces;
}
