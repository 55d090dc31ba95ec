/** What a client reads: replies, and what the server sends on its own. For the command-line client and the tests. */
import { REPLY_VERBS } from './encode.ts';
import type { ReplyVerb } from './encode.ts';

export interface Reply {
  readonly verb: ReplyVerb;
  /** Everything behind the verb: `401 session unknown` of an Error. */
  readonly argument: string;
  readonly id: string;
  /** Names in lower case; `id` and `mac` too. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Offset of the line that holds `mac`, as macInput() wants it; -1 where there is none. */
  readonly macLineAt: number;
  readonly bodyAt: number;
}

/** null: no message that a server sends. A joined message may be longer than a datagram. */
export function decodeReply(bytes: Buffer): Reply | null {
  // As latin1 an index in the text is an offset in the bytes.
  const text = bytes.toString('latin1');
  const headers = new Map<string, string>();
  let first = '';
  let macLineAt = -1;
  let at = 0;
  while (at < text.length) {
    const feed = text.indexOf('\n', at);
    if (feed < 0) return null;
    const line = Buffer.from(text.slice(at, text[feed - 1] === '\r' ? feed - 1 : feed), 'latin1').toString('utf8');
    const lineAt = at;
    at = feed + 1;
    if (line === '') break;
    if (first === '') first = line;
    else {
      const match = HEADER.exec(line);
      if (match === null || macLineAt >= 0) return null;
      const [, name = '', value = ''] = match;
      if (headers.has(name.toLowerCase())) return null;
      headers.set(name.toLowerCase(), value);
      if (name.toLowerCase() === 'mac') macLineAt = lineAt;
    }
  }
  const space = `${first} `.indexOf(' ');
  const verb = REPLY_VERBS.find((known) => known.toLowerCase() === first.slice(0, space).toLowerCase());
  const id = headers.get('id');
  if (verb === undefined || id === undefined) return null;
  return {
    verb,
    argument: first.slice(space + 1),
    id,
    headers,
    body: bytes.toString('utf8', at),
    macLineAt,
    bodyAt: at,
  };
}
const HEADER = /^([A-Za-z0-9-]+): *(\P{Cc}*?) *$/u;
