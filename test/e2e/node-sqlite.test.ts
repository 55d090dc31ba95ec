/** A whole node on the embedded directory: first start, service, stop, start again, crash. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import { SAMPLE_USER } from '../../src/sample.ts';
import { runFilePath } from '../../src/run-file.ts';
import { nativePhone } from './support-clients.ts';
import type { TestClient, TestNode } from './support-node.ts';
import {
  http,
  httpLogin,
  nodeSettings,
  openClient,
  removeFolders,
  startNode,
  stopNodes,
  temporaryFolder,
} from './support-node.ts';

const OTHER = '10043939';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let client: TestClient;

beforeEach(async () => {
  client = await openClient();
});
afterEach(async () => {
  await client.close();
  await stopNodes();
});
afterAll(removeFolders);

/** The same folder, ports and settings again. */
function again(node: TestNode): Promise<TestNode> {
  return startNode({
    VSERVER_DATA: node.config.data,
    VSERVER_UDP_PORT: String(node.udp.port),
    VSERVER_UDP_ALT_PORT: String(node.udpAlt.port),
    VSERVER_HTTP_PORT: new URL(node.http).port,
  });
}

async function userCount(node: TestNode): Promise<number> {
  return (await node.directory.search({ field: 'uid', prefix: '', limit: 100 })).users.length;
}

describe('the first start on an empty folder', () => {
  it('makes the sample users, who log in by datagrams and over HTTP and locate each other', async () => {
    const node = await startNode();
    const mine = await client.welcome(node.udp, SAMPLE_USER.uid, { password: SAMPLE_USER.password });
    expect(mine.welcome?.headers.get('server')).toBe('here');
    const other = await httpLogin(node, OTHER, { status: 'away' });

    expect(await mine.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    expect(await mine.ask('Status', 'busy', { note: 'in a meeting' })).toMatchObject({ verb: 'Ok' });
    const beat = await http(`${node.http}/v1/heartbeat`, { method: 'POST', token: other.token });
    expect(beat).toMatchObject({ status: 200, json: { wan: '127.0.0.1:0' } });

    const found = await mine.ask('Locate', OTHER);
    expect([found.verb, found.argument, found.headers.get('status')]).toEqual(['User', OTHER, 'away']);
    const back = await http(`${node.http}/v1/locate/${SAMPLE_USER.uid}`, { token: other.token });
    expect(back).toMatchObject({ status: 200, json: { status: 'busy', note: 'in a meeting', alias: 'Li Wei' } });
    expect(await mine.ask('Locate', `086${OTHER}`)).toMatchObject({ verb: 'User', argument: OTHER });
    expect(await mine.ask('Locate', '10066502')).toMatchObject({ verb: 'Offline' });
    expect(await mine.ask('Locate', 'nobody')).toMatchObject({ verb: 'Error', argument: '404 no such user' });

    const servers = await mine.ask('Servers');
    expect(servers.body).toBe(`here ${formatAddress(node.udp)} on 2 100000\r\n`);
  });

  it('answers the CONFIG in Parts by datagrams, and over HTTP with an ETag that is good for a 304', async () => {
    const node = await startNode();
    const longer = { xmlext: `<theme name="ocean"/><text>${'long '.repeat(400)}</text>` };
    const path = `${node.http}/v1/admin/users/${SAMPLE_USER.uid}`;
    expect(await http(path, { method: 'PATCH', token: node.adminToken, body: longer })).toMatchObject({ status: 200 });
    const mine = await client.welcome(node.udp, SAMPLE_USER.uid);
    const config = await mine.ask('Config');
    expect(config).toMatchObject({ verb: 'Config', argument: SAMPLE_USER.uid });
    expect(config.body.length).toBeGreaterThan(1_200);
    expect(config.body).toContain(longer.xmlext);
    expect(config.body).not.toContain('sip-secret');
    const etag = config.headers.get('etag') ?? '';
    expect(await mine.ask('Config', '', { etag })).toMatchObject({ verb: 'NotModified' });

    const { token } = await httpLogin(node, SAMPLE_USER.uid, { instance: 'browser' });
    const plain = { 'accept-encoding': 'identity' };
    const document = await http(`${node.http}/v1/config`, { token, headers: plain });
    expect(document.status).toBe(200);
    expect(document.text).toContain('PWD="sip-secret"');
    const tag = document.headers.get('etag') ?? '';
    const same = await http(`${node.http}/v1/config`, { token, headers: { ...plain, 'if-none-match': tag } });
    expect([same.status, same.text]).toEqual([304, '']);
    const basic = Buffer.from(`${SAMPLE_USER.uid}:${SAMPLE_USER.password}`).toString('base64');
    const byBasic = await http(`${node.http}/config/${SAMPLE_USER.uid}.xml`, {
      headers: { ...plain, authorization: `Basic ${basic}` },
    });
    expect(byBasic.text).toBe(document.text);
  });

  it('answers Hello on both ports, each from its own', async () => {
    const node = await startNode();
    const [first, second] = [
      await client.unsigned(node.udp, 'Hello', ''),
      await client.unsigned(node.udpAlt, 'Hello', ''),
    ];
    expect(first.headers.get('wan')).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(second.headers.get('wan')).toBe(first.headers.get('wan'));
  });

  it('serves IPv6 the same way', async () => {
    const node = await startNode({ VSERVER_LISTEN: '::1' });
    const six = await openClient('::1');
    const mine = await six.welcome(node.udp, SAMPLE_USER.uid);
    expect(mine.welcome?.headers.get('wan')).toMatch(/^\[::1\]:\d+$/);
    const other = await httpLogin(node, OTHER);
    const found = await http(`${node.http}/v1/locate/${SAMPLE_USER.uid}`, { token: other.token });
    expect(found.json).toMatchObject({ wan: mine.welcome?.headers.get('wan') });
    await six.close();
  });

  it('reads the system variables anew when it is told to', async () => {
    const node = await startNode();
    const mine = await client.welcome(node.udp, SAMPLE_USER.uid);
    expect((await mine.ask('Config')).body).toContain('NAME="MAIN_URL" VALUE="http://www.example.com"');
    await node.directory.writeVariable('MAIN_URL', 'http://www.example.org');
    await node.reload();
    expect((await mine.ask('Config')).body).toContain('NAME="MAIN_URL" VALUE="http://www.example.org"');
  });

  it('makes no file that others than its owner may read', async () => {
    const node = await startNode();
    await client.welcome(node.udp, SAMPLE_USER.uid);
    const modes = (): string[] =>
      readdirSync(node.config.data).map(
        (name) => `${name} ${(statSync(join(node.config.data, name)).mode & 0o777).toString(8)}`,
      );
    expect(modes().filter((line) => !line.endsWith(' 600'))).toEqual([]);
    await node.stop(false);
    expect(modes().filter((line) => !line.endsWith(' 600'))).toEqual([]);
    expect(modes()).toContain('sessions.snapshot 600');
  });

  it('makes its data folder for its owner only', async () => {
    const data = join(temporaryFolder(), 'deep', 'data');
    await startNode({ VSERVER_DATA: data });
    expect((statSync(data).mode & 0o777).toString(8)).toBe('700');
  });

  it('makes no sample users where it listens to more than loopback', async () => {
    const node = await startNode({ VSERVER_LISTEN: '0.0.0.0', VSERVER_ADVERTISE: '127.0.0.1' });
    expect(await userCount(node)).toBe(0);
  });

  it('makes no sample users where somebody is in the directory already', async () => {
    const node = await startNode({ VSERVER_LISTEN: '0.0.0.0', VSERVER_ADVERTISE: '127.0.0.1' });
    const made = await http(`${node.http}/v1/admin/users`, { token: node.adminToken, body: { uid: 'mine' } });
    expect(made.status).toBe(201);
    await node.stop(false);
    const second = await startNode({ VSERVER_DATA: node.config.data });
    expect(await userCount(second)).toBe(1);
  });
});

describe('a start that can not be', () => {
  it('names the port that is taken, and leaves nothing open', async () => {
    const first = await startNode();
    const ports = {
      VSERVER_UDP_PORT: String(first.udp.port),
      VSERVER_UDP_ALT_PORT: String(first.udpAlt.port),
      VSERVER_HTTP_PORT: new URL(first.http).port,
    };
    const data = temporaryFolder();
    for (const [name, port] of Object.entries(ports)) {
      await expect(startNode({ VSERVER_DATA: data, [name]: port })).rejects.toMatchObject({
        code: 'SETTINGS',
        message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${port} is taken.*${name}`)) as string,
      });
    }
    await first.stop(false);
    // Neither a socket of the attempts nor their hold on the data is left.
    const second = await startNode({ VSERVER_DATA: data, ...ports });
    await client.welcome(second.udp, SAMPLE_USER.uid);
  });

  it('refuses contradicting settings, an address that is not ours and a certificate that is not there', async () => {
    const refused = (settings: Record<string, string>, message: RegExp) =>
      expect(startNode(settings)).rejects.toMatchObject({
        code: 'SETTINGS',
        message: expect.stringMatching(message) as string,
      });
    await refused({ VSERVER_HEARTBEAT: '90', VSERVER_EXPIRES: '60' }, /VSERVER_EXPIRES .*VSERVER_HEARTBEAT/);
    await refused({ VSERVER_LISTEN: '0.0.0.0' }, /VSERVER_ADVERTISE/);
    await refused({ VSERVER_LISTEN: '192.0.2.1' }, /VSERVER_LISTEN/);
    await refused({ VSERVER_DATA: '/dev/null/data' }, /VSERVER_DATA/);
    const ldap = { VSERVER_DIRECTORY: 'ldap://127.0.0.1:1/dc=netbbq,dc=com' };
    await refused({ ...ldap, VSERVER_LDAP_CA: '/nowhere/ca.pem' }, /VSERVER_LDAP_CA.*\/nowhere\/ca\.pem/);
    await refused({ VSERVER_HTTP_CERT: '/nowhere/cert.pem', VSERVER_HTTP_KEY: '/nowhere/key.pem' }, /\/nowhere\//);
  });
});

describe('a stop and a start on the same folder', () => {
  it('is not noticed by those who are logged in: cookie, key and sequence go on', async () => {
    const node = await startNode();
    const mine = await client.welcome(node.udp, SAMPLE_USER.uid);
    const other = await httpLogin(node, OTHER);
    await mine.ask('Heartbeat');
    await mine.ask('Status', 'busy');
    await node.stop(false);
    expect(readdirSync(node.config.data)).not.toContain('node.json');

    const second = await again(node);
    const usedSeq = mine.seq;
    expect(await mine.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    const found = await http(`${second.http}/v1/locate/${SAMPLE_USER.uid}`, { token: other.token });
    expect(found.json).toMatchObject({ status: 'busy' });

    // A sequence number of before the restart is dropped silently; what follows is answered.
    const { heartbeats, datagramsDropped } = second.core.counters;
    mine.send('Heartbeat', usedSeq, 'old');
    expect(await mine.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    expect(second.core.counters.datagramsDropped).toBe(datagramsDropped + 1);
    expect(second.core.counters.heartbeats).toBe(heartbeats + 1);
  });

  it('takes back nothing where the server has another name now', async () => {
    const node = await startNode();
    await client.welcome(node.udp, SAMPLE_USER.uid);
    await node.stop(false);
    const renamed = await startNode({ VSERVER_DATA: node.config.data, VSERVER_NAME: 'renamed' });
    expect(renamed.core.table.count).toBe(0);
  });

  it('takes back only sessions whose epoch still holds', async () => {
    const node = await startNode();
    const mine = await client.welcome(node.udp, SAMPLE_USER.uid);
    const other = await client.welcome(node.udp, OTHER);
    const directory = node.directory;
    const before = await directory.find(SAMPLE_USER.uid);
    const epoch = before?.location.epoch ?? 0;
    const elsewhere = { name: 'elsewhere', address: { host: '127.0.0.9', port: 4321 } };
    const location = { ...before?.location, server: elsewhere, epoch: epoch + 1 } as Parameters<
      typeof directory.writeLocation
    >[1];
    expect(await directory.writeLocation(SAMPLE_USER.uid, location, epoch)).toBe('written');
    await node.stop(false);

    const second = await again(node);
    expect(await mine.ask('Heartbeat')).toMatchObject({
      verb: 'Error',
      argument: expect.stringMatching(/^401/) as string,
    });
    expect(await other.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    // What the other server wrote still stands.
    expect((await second.directory.find(SAMPLE_USER.uid))?.location.server?.name).toBe('elsewhere');
  });

  it('stopped with logout, writes everybody out and keeps no session', async () => {
    const node = await startNode();
    const mine = await client.welcome(node.udp, SAMPLE_USER.uid);
    const answer = await http(`${node.http}/v1/admin/stop`, { token: node.adminToken, body: { logout: true } });
    expect(answer.status).toBeLessThan(300);
    await node.stopped;

    const second = await again(node);
    expect((await second.directory.find(SAMPLE_USER.uid))?.location).toMatchObject({
      server: null,
      logoutAt: expect.any(Number) as number,
    });
    expect(await mine.ask('Heartbeat')).toMatchObject({
      verb: 'Error',
      argument: expect.stringMatching(/^401/) as string,
    });
  });
});

describe('a process', () => {
  const children = new Set<ChildProcess>();
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
  });

  /** A node in a process of its own; with `end` it stops at once, and nothing but the node may keep it alive. */
  async function startProcess(
    settings: Record<string, string>,
    end = false,
  ): Promise<{ child: ChildProcess; udp: Address; http: string }> {
    const script = `
      import { createNode } from './src/node.ts';
      import { loadConfig } from './src/config.ts';
      const node = await createNode(loadConfig(process.env));
      console.log(node.udp.host + ':' + node.udp.port + ' ' + node.http);
      ${end ? 'await node.stop(false);' : ''}`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], ...nodeSettings(settings) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const [udp = '', url = ''] = line.split(' ');
    const address = parseAddress(udp);
    if (address === null) throw new Error(line);
    return { child, udp: address, http: url };
  }

  it('that stopped its node ends by itself', async () => {
    const { child } = await startProcess({}, true);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
  });

  it('that crashed and starts again answers 401, and a new login is welcome', async () => {
    const data = temporaryFolder();
    const first = await startProcess({ VSERVER_DATA: data });
    const mine = await client.welcome(first.udp, SAMPLE_USER.uid);
    expect(await mine.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    expect(statSync(runFilePath(data)).isFile()).toBe(true);

    const second = await startNode({ VSERVER_DATA: data, VSERVER_UDP_PORT: String(first.udp.port) });
    expect(await mine.ask('Heartbeat')).toMatchObject({
      verb: 'Error',
      argument: expect.stringMatching(/^401/) as string,
    });
    const fresh = await client.welcome(second.udp, SAMPLE_USER.uid);
    expect(await fresh.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
  });

  it('that is killed while it takes messages has lost none that it answered, and brings each once', async () => {
    const recipient = '10043939';
    const data = temporaryFolder();
    const first = await startProcess({ VSERVER_DATA: data, VSERVER_RATE_LIMIT: '0' });
    const mine = await client.welcome(first.udp, SAMPLE_USER.uid);
    const answered: string[] = [];
    // No more answers come when it is killed.
    void (async () => {
      for (let i = 0; ; i++) {
        const { verb, argument } = await mine.ask('Message', recipient, { msg: `m${i}` });
        if (verb === 'Ok' && argument === 'stored') answered.push(`m${i}`);
      }
    })().catch(() => undefined);
    await expect.poll(() => answered.length).toBeGreaterThan(200);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');

    const second = await startNode({ VSERVER_DATA: data, VSERVER_RATE_LIMIT: '0' });
    const shown: string[] = [];
    const theirs = await nativePhone(second, recipient, (event) => {
      if (event.kind === 'message') shown.push(event.id);
    });
    await expect.poll(async () => (await second.core.messages.waiting(recipient, 0)).length).toBe(0);
    // The last one may have been stored without its answer coming out.
    expect(shown.slice(0, answered.length)).toEqual(answered);
    expect(shown.length - answered.length).toBeLessThanOrEqual(1);
    await theirs.logout();
  });
});
