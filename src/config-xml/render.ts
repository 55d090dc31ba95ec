/**
 * The CONFIG document's parts as text: template strings, because a general builder is fifty times slower. A property
 * test holds the bytes equal to those of xmlbuilder2 (test/support/reference-config.ts).
 */
import { hash } from 'node:crypto';
import type { User, VoipAccount } from '../base/model.ts';
import { checkFragment, NO_XML_CHARACTERS } from './fragment.ts';
import type { TurnSettings } from './turn.ts';
import { turnCredentials } from './turn.ts';

/** Stands in the document where a stored fragment does not pass the check. */
export const REJECTED_COMMENT = '<!-- the stored fragment is not acceptable and was left out -->';

const VERDICTS_MAX = 10_000;

/** One half of a document: its text, and why the stored fragment was left out (null where it stands there). */
export interface RenderedPart {
  readonly text: string;
  readonly rejected: string | null;
}

/** The SYSTEM element of `variables` (names to values, in their order) and the fragment SYSTEM_EXT. */
export function renderSystem(variables: ReadonlyMap<string, string>, extension: string): RenderedPart {
  let text = '  <SYSTEM>\n';
  for (const [name, value] of variables) {
    text += `    <VAR NAME="${escapeValue(name)}" VALUE="${escapeValue(value)}"/>\n`;
  }
  const ext = renderExtension(extension);
  return { text: `${text}${ext.text}  </SYSTEM>\n`, rejected: ext.rejected };
}

export interface PrivateOptions {
  /** Only for himself, over an authenticated and encrypted channel; otherwise every PWD is empty. */
  readonly withPasswords: boolean;
  /** Where TURN servers are set, and when credentials end that are given out now. */
  readonly turn?: { readonly settings: TurnSettings; readonly expiryS: number } | null;
}

/** The PRIVATE element of a user. */
export function renderPrivate(user: User, { withPasswords, turn = null }: PrivateOptions): RenderedPart {
  let text = `  <PRIVATE ID="${escapeValue(user.uid)}">\n`;
  for (const account of user.voip) text += renderVoip(account, withPasswords);
  if (turn !== null) text += renderTurn(turn.settings, user.uid, withPasswords ? turn.expiryS : null);
  const ext = renderExtension(user.xmlext);
  return { text: `${text}${ext.text}  </PRIVATE>\n`, rejected: ext.rejected };
}

function renderVoip(account: VoipAccount, withPasswords: boolean): string {
  return (
    `    <VOIP TYPE="${account.type}" ENABLE="${account.enabled ? 'TRUE' : 'FALSE'}"` +
    ` SERVER="${escapeValue(account.servers)}" E164="${escapeValue(account.e164)}"` +
    ` OUTBOUND="${escapeValue(account.outbound)}" PROPERTY="${escapeValue(account.property)}"` +
    ` TTL="${escapeValue(account.ttl)}" PWD="${withPasswords ? escapeValue(account.password) : ''}"/>\n`
  );
}

/** `expiryS`: null where no password may stand there. What goes with it is empty then too: it would only change the document. */
function renderTurn(settings: TurnSettings, uid: string, expiryS: number | null): string {
  const { user, password } = expiryS === null ? NO_CREDENTIALS : turnCredentials(settings, uid, expiryS);
  const expires = expiryS === null ? '' : new Date(expiryS * 1000).toISOString();
  return (
    `    <TURN SERVER="${escapeValue(settings.uris.join(';'))}" USER="${escapeValue(user)}"` +
    ` PWD="${password}" EXPIRES="${expires}"/>\n`
  );
}
const NO_CREDENTIALS = { user: '', password: '' };

function renderExtension(fragment: string): RenderedPart {
  if (fragment === '') return { text: '    <EXT/>\n', rejected: null };
  const rejected = verdict(fragment);
  return { text: `    <EXT>${rejected === null ? fragment : REJECTED_COMMENT}</EXT>\n`, rejected };
}

/**
 * The value of an attribute: markup characters escaped, what XML 1.0 can't hold dropped. Tabs and line breaks as
 * references, because a parser would turn them into spaces (XML 1.0 section 3.3.3).
 */
export function escapeValue(value: string): string {
  return PLAIN.test(value) ? value : value.replace(NO_XML_CHARACTERS, '').replace(SPECIAL, (c) => REFERENCES[c] ?? c);
}
const PLAIN = /^[ !#-%'-;=?-~]*$/;
const SPECIAL = /[&<>"\t\n\r]/g;
const REFERENCES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#x9;',
  '\n': '&#xA;',
  '\r': '&#xD;',
};

/** Verdicts on fragments seen before, by content: a fragment is parsed once and not for each document. */
const verdicts = new Map<string, string | null>();

function verdict(fragment: string): string | null {
  const key = hash('sha256', fragment, 'base64');
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  const found = checkFragment(fragment);
  // Oldest out first. An entry asked for often comes back at the price of one parse.
  const oldest = verdicts.size < VERDICTS_MAX ? undefined : verdicts.keys().next().value;
  if (oldest !== undefined) verdicts.delete(oldest);
  verdicts.set(key, found);
  return found;
}
