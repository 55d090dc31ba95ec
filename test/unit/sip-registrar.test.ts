import { describe, expect, it } from 'vitest';
import { settle } from '../support/clock.ts';
import { serverRecord } from '../support/flows.ts';
import type { SipNodeOptions } from '../support/sip-node.ts';
import { AT, Phone, phone, sipNode } from '../support/sip-node.ts';
import { memoryStreams } from '../support/streams.ts';

async function started(options: SipNodeOptions = {}) {
  const node = await sipNode(options);
  node.directory.put({ uid: 'alice' });
  node.directory.put({ uid: 'bob' });
  const alice = await phone(node.network, 'alice');
  return { ...node, alice };
}

async function registered(options: SipNodeOptions = {}) {
  const node = await started(options);
  node.alice.register();
  await settle();
  expect(node.alice.status).toBe(200);
  return node;
}

describe('a REGISTER', () => {
  it('of a good password opens a session, and its answer lists the contact', async () => {
    const { alice, table } = await registered();
    expect(alice.contacts()).toEqual([`<sip:alice@10.0.0.7:${alice.at.port}>;expires=300`]);
    const [device] = table.devices(table.users.find('alice'));
    expect(device).toMatchObject({
      contact: `sip:alice@10.0.0.7:${alice.at.port}`,
      instance: `sip:alice@10.0.0.7:${alice.at.port}`,
      wan: alice.at,
      network: 'wan',
      status: 'online',
    });
    expect(alice.last.header('Service-Route')).toBe('<sip:10.0.0.1:5060;lr>');
    expect(alice.last.header('Date')).toMatch(/ GMT$/);
  });

  it('writes the location like every login', async () => {
    const { directory } = await registered();
    expect(directory.row('alice')?.location).toMatchObject({ server: { name: 'here' }, epoch: 1 });
  });

  it.each([
    ['of an unknown domain', { uri: 'sip:other.net' }, 404],
    ['for a To of an unknown domain', { headers: { To: '<sip:alice@other.net>' } }, 404],
    ['to a URI of an unknown scheme', { uri: 'nobody:knows' }, 416],
    ['that requires what nobody knows', { headers: { Require: 'path, teleport' } }, 420],
  ])('%s is refused before anything else', async (_, ask, status) => {
    const { alice, directory } = await started();
    alice.ask('REGISTER', ask);
    expect(alice.status).toBe(status);
    if (status === 420) expect(alice.last.header('Unsupported')).toBe('teleport');
    expect(directory.calls).toEqual([]);
  });

  it.each(['sip:vserver', 'sip:VSERVER', 'sip:10.0.0.1:5060', 'sip:example.com'])(
    'to %s is for this node',
    async (uri) => {
      const { alice } = await started();
      alice.ask('REGISTER', { uri });
      expect(alice.status).toBe(401);
    },
  );

  it('for somebody else is refused: third-party and foreign uids', async () => {
    const { alice, directory } = await started();
    alice.register({ headers: { To: '<sip:bob@vserver>' } });
    expect(alice.status).toBe(403);
    alice.register({ headers: { From: '<sip:bob@vserver>;tag=1' } });
    expect(alice.status).toBe(403);
    alice.register({}, { username: 'bob' });
    expect(alice.status).toBe(403);
    expect(directory.calls).toEqual([]);
  });

  it('with the contact of this server itself is refused', async () => {
    const { alice, table } = await started();
    for (const contact of ['<sip:alice@10.0.0.1:5060>', '<sip:alice@10.0.0.1>', '<sip:alice@vserver>']) {
      alice.register({ headers: { Contact: contact } });
      await settle();
      expect(alice.status, contact).toBe(403);
    }
    expect(table.count).toBe(0);
  });

  it('from the host of this server, at another port, is taken', async () => {
    const { alice } = await started();
    alice.register({ headers: { Contact: '<sip:alice@10.0.0.1:5070>' } });
    await settle();
    expect(alice.status).toBe(200);
  });

  it.each([
    ['<tel:+861001>', 400],
    ['<sip:alice@10.0.0.7>;q=7', 400],
    ['*', 400],
    ['<sip:alice@10.0.0.7>;expires=59', 423],
    ['<sip:alice@10.0.0.7', 400],
    [Array.from({ length: 11 }, (_, i) => `<sip:a${i}@10.0.0.7>`).join(','), 400],
  ])('with the contact %s is refused', async (contact, status) => {
    const { alice, table } = await started();
    alice.register({ headers: { Contact: contact } });
    await settle();
    expect(alice.status).toBe(status);
    if (status === 423) expect(alice.last.header('Min-Expires')).toBe('60');
    expect(table.count).toBe(0);
  });

  it.each([
    ['', undefined, 300],
    ['', '120', 120],
    [';expires=90', '120', 90],
    ['', '99999', 300],
    [';expires=99999999999', undefined, 300],
    [';expires=soon', undefined, 300],
  ])('with the parameter "%s" and the header %s lasts %s… seconds', async (param, header, seconds) => {
    const { alice } = await started();
    alice.register({
      headers: { Contact: alice.contact(param), ...(header === undefined ? {} : { Expires: header }) },
    });
    await settle();
    expect(alice.contacts()).toEqual([alice.contact(`;expires=${seconds}`)]);
  });

  it('while the directory is down is told to come back', async () => {
    const { alice, directory } = await started();
    directory.down = true;
    alice.register();
    await settle();
    expect(alice.status).toBe(503);
    expect(alice.last.header('Retry-After')).toBe('5');
  });
});

describe('a registration', () => {
  it('is refreshed from memory, also while the directory is down', async () => {
    const { alice, directory, table, time } = await registered();
    await time.advance(1_000);
    directory.down = true;
    directory.calls.length = 0;
    await time.advance(200_000);
    alice.register();
    expect(alice.status).toBe(200);
    expect(alice.contacts()).toEqual([alice.contact(';expires=300')]);
    expect(directory.calls).toEqual([]);
    expect(table.count).toBe(1);
  });

  it('ends when its time is over', async () => {
    const { alice, table, ends, time, nowS } = await registered();
    const turn = (): void => {
      table.turn(nowS(), (row) => {
        ends.end(row, 'silence');
      });
    };
    await time.advance(299_000);
    turn();
    expect(table.count).toBe(1);
    await time.advance(2_000);
    turn();
    expect(table.count).toBe(0);
    expect(alice.answers).toHaveLength(2);
  });

  it('moves with its phone', async () => {
    const { alice, network, table } = await registered();
    const moved = await phone(network, 'alice', { host: '10.0.0.7', port: 999 });
    [moved.nonce, moved.nc, moved.cseq] = [alice.nonce, alice.nc, alice.cseq];
    moved.register({ headers: { Contact: alice.contact() }, callId: `alice-${alice.at.port}` });
    expect(moved.status).toBe(200);
    expect(table.count).toBe(1);
    expect(table.devices(table.users.find('alice'))[0]?.wan).toEqual(moved.at);
  });

  it('is listed to a REGISTER without Contact, which changes nothing', async () => {
    const { alice, time } = await registered();
    await time.advance(100_000);
    alice.register({ headers: { Contact: null } });
    expect(alice.status).toBe(200);
    expect(alice.contacts()).toEqual([alice.contact(';expires=200')]);
  });

  it('ends with expires 0, and the logout is written', async () => {
    const { alice, table, ended } = await registered();
    alice.register({ headers: { Contact: alice.contact(';expires=0') } });
    expect(alice.status).toBe(200);
    expect(alice.contacts()).toEqual([]);
    expect(table.count).toBe(0);
    expect(ended.map(({ reason }) => reason)).toEqual(['logout']);
  });

  it('ends with all others by * and Expires 0', async () => {
    const { alice, network, table, time } = await registered();
    await time.advance(1);
    const second = await phone(network, 'alice');
    second.register();
    await settle();
    expect(table.count).toBe(2);
    alice.register({ headers: { Contact: '*', Expires: '0' } });
    expect(alice.status).toBe(200);
    expect(table.count).toBe(0);
  });

  it('of one device by its instance keeps its place when the contact changes', async () => {
    const { alice, table } = await started();
    const instance = ';+sip.instance="<urn:uuid:1>"';
    alice.register({ headers: { Contact: `<sip:alice@10.0.0.7:1>${instance}` } });
    await settle();
    alice.register({ headers: { Contact: `<sip:alice@10.0.0.7:2>;q=0.5${instance}` } });
    expect(alice.contacts()).toEqual([`<sip:alice@10.0.0.7:2>;expires=300;q=0.5${instance}`]);
    expect(table.devices(table.users.find('alice')).map((one) => one.instance)).toEqual(['<urn:uuid:1>']);
  });

  it('stands beside those of the other devices, up to the maximum of the user', async () => {
    const { directory, network, table, time } = await started();
    directory.put({ uid: 'carol', service: { ...directory.put({ uid: 'carol' }).service, devicesMax: 2 } });
    for (let i = 0; i < 3; i++) {
      const one = await phone(network, 'carol');
      one.register();
      await settle();
      expect(one.status).toBe(200);
      await time.advance(1_000);
    }
    expect(table.devices(table.users.find('carol'))).toHaveLength(2);
  });

  it('with several contacts registers them all', async () => {
    const { alice, table } = await started();
    alice.register({ headers: { Contact: ['<sip:alice@10.0.0.7:1>;q=0.2', '<sip:alice@10.0.0.7:2>;q=0.9'] } });
    await settle();
    expect(alice.contacts()).toHaveLength(2);
    expect(table.count).toBe(2);
  });

  it('echoes the Path to who supports it, and Outbound to who asks for it', async () => {
    const { alice } = await started();
    alice.register({
      headers: {
        Path: '<sip:edge.example.com;lr>',
        Supported: 'path, outbound',
        Contact: alice.contact(';+sip.instance="<urn:uuid:1>";reg-id=1'),
      },
    });
    await settle();
    expect(alice.last.header('Path')).toBe('<sip:edge.example.com;lr>');
    expect(alice.last.header('Require')).toBe('outbound');
    expect(alice.contacts()[0]).toContain(';reg-id=1');
  });

  it('is not changed by what is older in its Call-ID', async () => {
    const { alice } = await registered();
    alice.register({ cseq: 1, headers: { Contact: alice.contact(';expires=0') } });
    expect(alice.status).toBe(500);
    alice.register({ callId: 'another', cseq: 1 });
    expect(alice.status).toBe(200);
  });

  it('whose phone repeats its request gets the same answer, and nothing is done twice', async () => {
    const { alice, directory, time } = await registered();
    await time.advance(1_000);
    directory.calls.length = 0;
    alice.repeat();
    expect(alice.status).toBe(200);
    await time.advance(99_000);
    alice.repeat();
    expect(alice.contacts()).toEqual([alice.contact(';expires=200')]);
    expect(directory.calls).toEqual([]);
  });

  it('whose phone repeats its request while the directory is asked gets one answer', async () => {
    const { alice, directory, table } = await started();
    directory.held = true;
    alice.register();
    alice.repeat();
    alice.repeat();
    await settle();
    directory.held = false;
    directory.release();
    await settle();
    expect(alice.answers.map(({ status }) => status)).toEqual([401, 200]);
    expect(table.count).toBe(1);
  });

  it('ends when the user is kicked, and comes back with a new nonce', async () => {
    const { alice, ends, table, time } = await registered();
    ends.endAll('alice', 'kicked');
    expect(table.count).toBe(0);
    await time.advance(1);
    alice.register();
    expect(alice.status).toBe(401);
    alice.register();
    await settle();
    expect(alice.status).toBe(200);
  });

  it('is shown to those who locate the user', async () => {
    const { alice, table } = await registered();
    expect(table.devices(table.users.find('alice'))[0]?.contact).toBe(`sip:alice@10.0.0.7:${alice.at.port}`);
  });

  it('of a draining node is sent on when its phone refreshes', async () => {
    const { alice, directory, servers, clock } = await registered();
    await directory.writeServer(serverRecord({ name: 'there', sip: { host: '10.0.0.2', port: 5060 } }, clock.now()));
    await servers.look();
    servers.setState('draining');
    alice.register();
    await settle();
    expect([alice.status, alice.contacts()]).toEqual([302, ['<sip:10.0.0.2:5060;vs-hops=1>']]);
  });
});

it('a connection that closes before its REGISTER is answered leaves no registration', async () => {
  const streams = memoryStreams();
  const { directory, table } = await started({ streams });
  const stream = streams.connect(AT, { host: '10.0.0.9', port: 7_000 });
  if (stream === null) throw new Error('refused');
  const over = new Phone('alice', { host: '10.0.0.9', port: 7_000 }, (text) => {
    stream.send(text);
    for (const bytes of stream.received.splice(0)) over.heard(bytes);
  });
  over.transport = 'TCP';
  directory.held = true;
  over.register();
  await settle();
  stream.close();
  directory.held = false;
  directory.release();
  await settle();
  expect(directory.row('alice')?.location.epoch).toBe(1);
  expect(table.users.find('alice')).toBe(-1);
});

it('answers go to the port of the Via where there is no rport', async () => {
  const { network } = await started();
  const asker = await phone(network, 'alice', { host: '10.0.0.7', port: 1 });
  const listener = await phone(network, 'alice', { host: '10.0.0.7', port: 5060 });
  asker.ask('REGISTER', { headers: { Via: 'SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKx' } });
  expect(asker.answers).toEqual([]);
  expect(listener.status).toBe(401);
  expect(AT.port).toBe(5060);
});
