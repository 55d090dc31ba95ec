/** Logs many users in, so many at a time: by a small C program where there is a compiler, else by the client in Node. */
import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sessionKey, verifierOf } from '../src/login/proof.ts';
import { encode } from '../src/udp/encode.ts';
import { inFlight, LOGIN_HEADERS, PAD, passwordOf, REALM } from './client.ts';
import type { Client, Session } from './client.ts';

export interface ManyLogins {
  readonly name: string;
  readonly run: (uids: readonly string[]) => Promise<{ readonly seconds: number; readonly sessions: Session[] }>;
}

const NONCE = 'N'.repeat(32);
const PROOF = 'P'.repeat(64);

/** `folder` takes the compiled program and its data. */
export function openLogins(folder: string, serverPort: number, client: Client, limit: number): ManyLogins {
  const source = fileURLToPath(new URL('native/logins.c', import.meta.url));
  const program = join(folder, 'logins');
  if (spawnSync('cc', ['-O2', '-o', program, source], { stdio: 'ignore' }).status !== 0) {
    return { name: 'client in Node (no C compiler here)', run: (uids) => runNode(uids, client, limit) };
  }
  return {
    name: 'native client',
    run: (uids) => runNative(program, join(folder, 'logins.data'), uids, serverPort, limit),
  };
}

async function runNode(uids: readonly string[], client: Client, limit: number) {
  const start = performance.now();
  const sessions = await inFlight(uids, limit, (uid) => client.login(uid));
  return { seconds: (performance.now() - start) / 1000, sessions };
}

/** Distinguishes the datagrams of one run from those of another, which the node would take for repeats. */
let runs = 0;

async function runNative(program: string, file: string, uids: readonly string[], serverPort: number, limit: number) {
  const run = ++runs;
  const users = uids.map((uid, i) => {
    const [id, cnonce] = [`n${run}-${i}`, `cnonce-${run}-${i}`];
    const verifier = verifierOf(uid, REALM, passwordOf(uid));
    const first = encode('Login', uid, id, { cnonce, pad: PAD });
    const second = encode('Login', uid, id, { cnonce, nonce: NONCE, proof: PROOF, ...LOGIN_HEADERS });
    const fields = [first, second, Buffer.from(`${NONCE}:${cnonce}:${uid}`), Buffer.from(verifier), Buffer.from(id)];
    return { uid, cnonce, verifier, fields };
  });
  await writeFile(
    file,
    Buffer.concat(users.flatMap(({ fields }) => fields.flatMap((bytes) => [lengthOf(bytes), bytes]))),
  );
  const args = [file, String(serverPort), '0', String(limit)];
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 64 * 1024 * 1024 });
  const { seconds, logins } = JSON.parse(stdout) as { seconds: number; logins: [nonce: string, cookie: string][] };
  const sessions = users.map(({ uid, cnonce, verifier }, i): Session => {
    const [nonce, cookie] = logins[i] ?? ['', ''];
    return { uid, cookie, key: Buffer.from(sessionKey(verifier, nonce, cnonce), 'hex'), seq: 0 };
  });
  return { seconds, sessions };
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(bytes.length);
  return length;
}
