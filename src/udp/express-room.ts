/**
 * Where the express lane reads a request, makes its macs and writes its reply: memory that it shares with its WebAssembly
 * (assembly/, docs/decisions/0017-reader-in-webassembly.md), which does what is done with bytes alone.
 */
import { viewOn } from '../base/bytes.ts';
import type { HashBlocks } from '../base/hashes.ts';
import { sha256BlocksIn } from '../base/hashes.ts';
import { FIREWALLS, NETWORKS, STATUSES } from '../base/model.ts';
import { instantiate } from '../base/web-assembly.ts';
import { CODE } from './express-code.ts';
import * as layout from './express-layout.ts';

/** What assembly/ exports. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Reads the request of so many bytes: NONE where it is out of the ordinary in any way. */
  readonly readHead: (length: number) => number;
  readonly startKey: (pad: number) => void;
  readonly endKey: (isOuter: number) => void;
  readonly startInner: (at: number, end: number) => number;
  readonly startOuter: () => void;
  /** Whether the mac that was made last is that of the request: 1 or 0. */
  readonly isMac: () => number;
  /** Each writes from an offset on; where it ends. */
  readonly writeOk: () => number;
  readonly writeAddress: (at: number, host: number, port: number) => number;
  readonly writeUser: (
    status: number,
    network: number,
    firewall: number,
    wanEnd: number,
    localEnd: number,
    seesTelephones: number,
  ) => number;
  readonly writeLineEnd: (at: number) => number;
  readonly writeMacLine: (at: number) => number;
  readonly hashBlocks: (from: number, length: number) => void;
}

const { memory, hashBlocks, startInner, startOuter, startKey, endKey, ...functions } = instantiate(CODE) as Exports;
const { buffer } = memory;
/** All of it, so that an offset is the same here and there. */
const bytes = Buffer.from(buffer);
const { CONTEXT, BLOCK, BLOCK_BYTES, KEY, KEY_STATES, STATE_BYTES, PLACES } = layout;

let found: HashBlocks | undefined;
/** Into the state at CONTEXT. */
function hash(from: number, length: number): void {
  found ??=
    sha256BlocksIn(buffer) ??
    ((_, at, count) => {
      hashBlocks(at, count);
    });
  found(CONTEXT, from, length);
}

const IPAD = 0x36;
const OPAD = 0x5c;

export const room = {
  ...functions,
  bytes,
  view: viewOn(bytes),
  /** Numbered as express-layout.ts says. */
  places: new Uint32Array(buffer, PLACES, layout.PLACES_MAX),
  cookie: new Uint32Array(buffer, PLACES + layout.COOKIE * 4, 4),
  /** Of the request. */
  mac: new Uint32Array(buffer, PLACES + layout.MAC * 4, 4),
  /** Of the key in use: all that is needed of it. */
  keyStates: new Uint32Array(buffer, KEY_STATES, (2 * STATE_BYTES) / 4),
  /** Takes the 32 bytes from `at` on as the key from now on. */
  useKey(keys: Uint8Array, at: number): void {
    for (let i = 0; i < layout.KEY_BYTES; i++) bytes[KEY + i] = keys[at + i] ?? 0;
    startKey(IPAD);
    hash(BLOCK, BLOCK_BYTES);
    endKey(0);
    startKey(OPAD);
    hash(BLOCK, BLOCK_BYTES);
    endKey(1);
  },
  /** Makes the mac of the message at `at`–`end`; what stands behind it is overwritten. */
  makeMac(at: number, end: number): void {
    hash(at, startInner(at, end));
    startOuter();
    hash(BLOCK, BLOCK_BYTES);
  },
} as const;

/** By byte: what it may be part of. Uids beyond ASCII are left to decode(). */
for (let byte = 0; byte < 256; byte++) {
  const inUid = byte > 32 && byte < 127 && byte !== ':'.charCodeAt(0) ? layout.IN_UID : 0;
  const inId = /[A-Za-z0-9._-]/.test(String.fromCharCode(byte)) ? layout.IN_ID : 0;
  bytes[layout.CLASSES + byte] = inUid | inId;
}

const PIECE_TEXTS: readonly (readonly [number, string])[] = [
  [layout.USER_IS, 'User '],
  [layout.ID_IS, '\r\nid: '],
  [layout.ALIAS_IS, '\r\nalias: '],
  [layout.NOTE_IS, '\r\nnote: '],
  [layout.WAN_IS, '\r\nwan: '],
  [layout.LOCAL_IS, '\r\nlocal: '],
  [layout.TELEPHONE_IS, '\r\ntelephone: '],
  [layout.DEVICE_IS, '\r\ndevice: '],
  [layout.SIP_IS, '\r\nsip: '],
  ...STATUSES.map((status, i) => [layout.STATUS_IS + i, `\r\nstatus: ${status}`] as const),
  ...NETWORKS.map((network, i) => [layout.NETWORK_IS + i, `\r\nnetwork: ${network}`] as const),
  ...FIREWALLS.map((firewall, i) => [layout.FIREWALL_IS + i, `\r\nfirewall: ${firewall}`] as const),
];
for (const [number, text] of PIECE_TEXTS) {
  if (text.length >= layout.PIECE_BYTES) throw new Error(`no room for ${text}`);
  const at = layout.PIECES + number * layout.PIECE_BYTES;
  bytes.write(text, at, 'latin1');
  bytes[at + layout.PIECE_BYTES - 1] = text.length;
}
