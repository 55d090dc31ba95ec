/** Presence documents: PIDF (RFC 3863) with the person of RFC 4479 and the activities of RPID (RFC 4480). */
import { isUtf8 } from 'node:buffer';
import { SaxesParser } from 'saxes';
import type { Status } from '../base/model.ts';
import { isXmlText, NO_XML_CHARACTERS } from '../config-xml/fragment.ts';
import type { Seen, SeenStatus } from '../presence/compose.ts';
import type { Published } from '../presence/publications.ts';
import type { ElementReader } from './pidf-quick.ts';
import { readQuickly } from './pidf-quick.ts';

export const PIDF_TYPE = 'application/pidf+xml';
export const PIDF_BYTES_MAX = 16 * 1024;
const LEVELS_MAX = 16;
const ELEMENTS_MAX = 500;
const NOTE_CHARACTERS_MAX = 96;

const PIDF = 'urn:ietf:params:xml:ns:pidf';
const DATA_MODEL = 'urn:ietf:params:xml:ns:pidf:data-model';
const RPID = 'urn:ietf:params:xml:ns:pidf:rpid';

const ACTIVITY: Readonly<Partial<Record<SeenStatus, string>>> = {
  busy: 'busy',
  'on-phone': 'on-the-phone',
  away: 'away',
};

/** The document for a watcher of this user, whose URI without scheme is `address`. */
export function renderPidf(address: string, seen: Seen): Buffer {
  const { status, note } = seen;
  // Those who watch the same user are mostly told one after the other.
  if (last.address === address && last.status === status && last.note === note) return last.bytes;
  const activity = ACTIVITY[status];
  const person =
    activity === undefined
      ? ''
      : `<dm:person id="p"><rpid:activities><rpid:${activity}/></rpid:activities></dm:person>`;
  const bytes = Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="${PIDF}" xmlns:dm="${DATA_MODEL}" xmlns:rpid="${RPID}"` +
      ` entity="pres:${escape(address)}"><tuple id="t"><status><basic>${status === 'offline' ? 'closed' : 'open'}</basic>` +
      `</status>${note === '' ? '' : `<note>${escape(note)}</note>`}</tuple>${person}</presence>\n`,
  );
  last = { address, status, note, bytes };
  return bytes;
}
let last = { address: '', status: '', note: '', bytes: Buffer.alloc(0) };

function escape(text: string): string {
  return text.replace(NO_XML_CHARACTERS, '').replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}

/** What RFC 4480 3.2 knows, as the statuses of this system; those that are missing say nothing of his being reachable. */
const STATUS_OF: Readonly<Record<string, Status>> = {
  'on-the-phone': 'on-phone',
  ...record('busy', 'busy', 'meeting', 'appointment', 'presentation', 'performance', 'worship', 'playing', 'steering'),
  ...record('away', 'away', 'breakfast', 'lunch', 'dinner', 'meal', 'sleeping', 'vacation', 'holiday', 'travel'),
  ...record('away', 'in-transit', 'permanent-absence', 'shopping', 'spectator', 'tv', 'looking-for-work'),
};

function record(status: Status, ...activities: readonly string[]): Readonly<Record<string, Status>> {
  return Object.fromEntries(activities.map((activity) => [activity, status]));
}

/** The more telling first. */
const PRECEDENCE = ['on-phone', 'busy', 'away'] as const;

/**
 * Reads what a phone publishes. null where it is no presence document, or anything that such a one need not hold: a
 * DOCTYPE, a processing instruction, an encoding other than UTF-8, too many levels or elements.
 */
export function readPidf(body: Buffer): Published | null {
  if (body.length > PIDF_BYTES_MAX || !isUtf8(body)) return null;
  const text = body.toString('utf8').trim();
  try {
    return interpret(parse(text));
  } catch {
    return null;
  }
}

/** Throws where the document is refused; saxes does so by itself where it has no handler for errors. */
function parse(text: string): Found {
  const reading = new Reading();
  if (readQuickly(text, reading)) return reading;
  return parseWhole(text);
}

function parseWhole(text: string): Found {
  if (!isXmlText(text)) refuse('characters');
  const parser = new SaxesParser({ xmlns: true });
  const reading = new Reading();
  parser.on('doctype', () => refuse('DOCTYPE'));
  parser.on('processinginstruction', () => refuse('processing instruction'));
  parser.on('xmldecl', ({ encoding }) => {
    if (encoding !== undefined && encoding.toLowerCase() !== 'utf-8') refuse('encoding');
  });
  parser.on('opentag', ({ uri, local }) => {
    reading.open(uri, local);
  });
  parser.on('text', (some) => {
    reading.text(some);
  });
  parser.on('cdata', (some) => {
    reading.text(some);
  });
  parser.on('closetag', () => {
    reading.close();
  });
  parser.write(text).close();
  return reading;
}

/** Texts by the path of their element's names; of activities the names alone. */
interface Found {
  readonly basics: readonly string[];
  readonly activities: readonly string[];
  readonly notes: readonly string[];
}

/** Finds what is of interest among the elements. Throws where the document is refused. */
class Reading implements Found, ElementReader {
  readonly basics: string[] = [];
  readonly activities: string[] = [];
  readonly notes: string[] = [];
  readonly #path: string[] = [];
  #elements = 0;
  #content = '';

  open(uri: string, local: string): void {
    const path = this.#path;
    if (path.length === 0 && (uri !== PIDF || local !== 'presence')) refuse('root');
    if (path.length === LEVELS_MAX || ++this.#elements > ELEMENTS_MAX) refuse('too many elements');
    if (path.at(-1) === 'activities' && uri === RPID) this.activities.push(local);
    // What another namespace means by these names is nothing to us.
    path.push(uri === PIDF || uri === DATA_MODEL || uri === RPID ? local : '');
    this.#content = '';
  }

  text(some: string): void {
    this.#content += some;
  }

  close(): void {
    const local = this.#path.at(-1);
    if (local === 'basic' || local === 'note') {
      const place = this.#path.join('/');
      if (place === 'presence/tuple/status/basic') this.basics.push(this.#content.trim());
      else if (NOTES.has(place)) this.notes.push(this.#content);
    }
    this.#path.pop();
    this.#content = '';
  }
}
const NOTES: ReadonlySet<string> = new Set(['presence/note', 'presence/tuple/note', 'presence/person/note']);

/** A basic that is neither open nor closed (baresip says `unknown` before it has registered) says nothing. */
function interpret({ basics, activities, notes }: Found): Published {
  const note = noteOf(notes);
  if (basics.includes('closed') && !basics.includes('open')) return { status: 'invisible', note };
  const said = activities.map((activity) => STATUS_OF[activity]);
  return { status: PRECEDENCE.find((status) => said.includes(status)) ?? 'online', note };
}

/** The first that says anything, as a note of the client protocol may be. */
function noteOf(notes: readonly string[]): string {
  const [first = ''] = notes.map((note) => note.replace(/[\s\p{Cc}]+/gu, ' ').trim()).filter((note) => note !== '');
  return Array.from(first).slice(0, NOTE_CHARACTERS_MAX).join('');
}

function refuse(reason: string): never {
  throw new Error(reason);
}
