/** Tools that others wrote: sipsak asks and registers, sipvicious guesses. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SAMPLE_USER } from '../../src/sample.ts';
import { endPrograms, runTool } from '../support/programs.ts';
import type { TestNode } from './support-node.ts';
import { removeFolders, startNode, stopNodes } from './support-node.ts';

const { uid, password } = SAMPLE_USER;
const OFFLINE = '10066502';
const UNKNOWN = '10012345';

let node: TestNode;

beforeEach(async () => {
  node = await startNode();
});
afterEach(stopNodes);
afterAll(async () => {
  await endPrograms();
  removeFolders();
});

function sipsak(user: string, ...args: string[]) {
  const at = `${node.sip.host}:${node.sip.port}`;
  return runTool('sipsak', ['-vvv', '-i', '-d', '-s', user === '' ? `sip:${at}` : `sip:${user}@${at}`, ...args]);
}

function statusLines(output: string): string[] {
  return output.match(/^SIP\/2\.0 \d{3}/gm) ?? [];
}

describe('sipsak', () => {
  it('gets what the node can do by OPTIONS', async () => {
    const { status, output } = await sipsak('');
    expect(output).toMatch(/^SIP\/2\.0 200 OK$/m);
    expect(output).toMatch(/^Allow: .*REGISTER/m);
    expect(status).toBe(0);
  });

  it('registers with Digest, and is redirected to the contact by OPTIONS for that user', async () => {
    node = await startNode({ VSERVER_SIP_ANONYMOUS: 'redirect' });
    const contact = `sip:${uid}@127.0.0.1:5999`;
    const registered = await sipsak(uid, '-U', '-C', contact, '-x', '60', '-u', uid, '-a', password);
    expect(statusLines(registered.output)).toEqual(['SIP/2.0 401', 'SIP/2.0 200']);
    expect(registered.status).toBe(0);
    // Its From is always its own, so it can ask only where strangers may.
    const asked = await sipsak(uid);
    expect(statusLines(asked.output)).toEqual(['SIP/2.0 302']);
    expect(asked.output).toContain(`Contact: <${contact}>`);
  });
});

describe('sipvicious', () => {
  // Its other part, svcrack, ends at a challenge that is not MD5.
  it('finds no user by REGISTER or INVITE among numbers of which one is a user', async () => {
    const last = Number(uid) + 4;
    for (const method of ['REGISTER', 'INVITE']) {
      const range = `${Number(uid) - 4}-${last}`;
      const args = ['-e', range, '-m', method, '-p', String(node.sip.port), '--force', '--maximumtime', '1'];
      const { output } = await runTool('svwar', [...args, node.sip.host]);
      expect(output).toMatch(/found nothing/);
    }
  });
});

/** A request over TCP as it stands; its answer without what differs from one to the next. */
async function ask(method: 'REGISTER' | 'INVITE', user: string, credentials: boolean): Promise<string> {
  const socket = connect(node.sip.port, node.sip.host);
  await once(socket, 'connect');
  const own = `<sip:${user}@${node.sip.host}>`;
  const uri = method === 'REGISTER' ? `sip:${node.sip.host}` : `sip:${user}@${node.sip.host}`;
  const digest = (nonce: string): string =>
    `Authorization: Digest username="${user}", realm="vserver", nonce="${nonce}", uri="${uri}", ` +
    `qop=auth, nc=00000001, cnonce="c", algorithm=MD5, response="${'0'.repeat(32)}"\r\n`;
  const send = async (cseq: number, more: string): Promise<string> => {
    const head = `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;rport;branch=z9hG4bK-${cseq}\r\n`;
    const names = `Max-Forwards: 70\r\nFrom: ${own};tag=a\r\nTo: ${own}\r\nCall-ID: a-${user}\r\n`;
    socket.write(`${head}${names}CSeq: ${cseq} ${method}\r\n${more}Content-Length: 0\r\n\r\n`);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return bytes.toString();
  };
  let answer = await send(1, '');
  if (credentials) answer = await send(2, digest(/nonce="([^"]+)"/.exec(answer)?.[1] ?? ''));
  socket.destroy();
  return answer
    .replaceAll(user, '<user>')
    .replace(/rport=\d+/, 'rport=<port>')
    .replace(/(To: .*;tag=)\w+/, '$1<tag>')
    .replace(/nonce="[^"]+"/g, ({ length }) => `nonce=<${length} characters>`);
}

describe('known and unknown users', () => {
  it.each([
    ['REGISTER', false, '401'],
    ['REGISTER', true, '403'],
    ['INVITE', false, '407'],
    ['INVITE', true, '403'],
  ] as const)('get the same answer to %s (with wrong credentials: %s): %s', async (method, credentials, status) => {
    const known = await ask(method, OFFLINE, credentials);
    expect(known).toMatch(new RegExp(`^SIP/2\\.0 ${status} `));
    expect(await ask(method, UNKNOWN, credentials)).toBe(known);
  });
});
