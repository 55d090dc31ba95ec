/** The CONFIG document by xmlbuilder2: slow, and what the fast renderer of src/config-xml is held against. */
import { create } from 'xmlbuilder2';
import type { XMLBuilder } from 'xmlbuilder2/lib/interfaces.js';
import type { User } from '../../src/base/model.ts';

/** Takes acceptable fragments only and no characters from U+E000 to U+E003, and splices them in after the build, since they go in byte for byte. */
export function referenceConfig(
  variables: ReadonlyMap<string, string>,
  extension: string,
  user: User,
  withPasswords: boolean,
  turn: Readonly<Record<'SERVER' | 'USER' | 'PWD' | 'EXPIRES', string>> | null,
): string {
  const root = create({ version: '1.0', encoding: 'UTF-8', invalidCharReplacement: '' })
    .dtd({ name: 'CONFIG' })
    .ele('CONFIG');
  const system = root.ele('SYSTEM');
  for (const [name, text] of variables) system.ele('VAR', { NAME: value(name), VALUE: value(text) });
  extend(system, extension);
  const personal = root.ele('PRIVATE', { ID: value(user.uid) });
  for (const account of user.voip) {
    personal.ele('VOIP', {
      TYPE: account.type,
      ENABLE: account.enabled ? 'TRUE' : 'FALSE',
      SERVER: value(account.servers),
      E164: value(account.e164),
      OUTBOUND: value(account.outbound),
      PROPERTY: value(account.property),
      TTL: value(account.ttl),
      PWD: withPasswords ? value(account.password) : '',
    });
  }
  if (turn !== null) personal.ele('TURN', { ...turn, USER: value(turn.USER) });
  extend(personal, user.xmlext);
  const fragments = [extension, user.xmlext].filter((fragment) => fragment !== '');
  const xml = withReferences(root.end({ prettyPrint: true }));
  return xml.replaceAll(PLACE, () => fragments.shift() ?? '') + '\n';
}
const PLACE = '\u{E000}';

/** xmlbuilder2 writes tabs and line breaks as they are, and a parser would read spaces: here they come as references. */
function value(text: string): string {
  return text.replaceAll('\t', '\u{E001}').replaceAll('\n', '\u{E002}').replaceAll('\r', '\u{E003}');
}

function withReferences(xml: string): string {
  return xml.replaceAll('\u{E001}', '&#x9;').replaceAll('\u{E002}', '&#xA;').replaceAll('\u{E003}', '&#xD;');
}

function extend(parent: XMLBuilder, fragment: string): void {
  const element = parent.ele('EXT');
  if (fragment !== '') element.txt(PLACE);
}
