import { mkdtempSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, turnSettings } from '../../src/config.ts';

function yaml(text: string): string {
  const file = join(mkdtempSync(join(tmpdir(), 'vserver-')), 'vserver.yaml');
  writeFileSync(file, text);
  return file;
}

/** The complaints of a refused start, one a line. */
function refusal(environment: Record<string, string>, file?: string): string[] {
  try {
    loadConfig(environment, file);
  } catch (error) {
    expect(error).toMatchObject({ code: 'SETTINGS' });
    return (error as Error).message.split('\n');
  }
  return [];
}

describe('settings', () => {
  it('have the defaults of the protocol page', () => {
    expect(loadConfig({})).toMatchObject({
      name: hostname(),
      listen: '127.0.0.1',
      advertise: '127.0.0.1',
      udpPort: 4321,
      udpAltPort: 4322,
      httpPort: 8080,
      sipPort: 5060,
      directory: 'sqlite:data/vserver.db',
      realm: 'vserver',
      usersMax: 100_000,
      heartbeat: 30,
      expires: 90,
    });
  });

  it('come from the file, and the environment wins', () => {
    const file = yaml(
      'udp:\n  port: 5000\n  alt-port: 5001\nlogin:\n  datagram: off\nhttp.proxies: [10.0.0.1, 10.0.0.2]\n',
    );
    const config = loadConfig({ VSERVER_UDP_PORT: '6000' }, file);
    expect(config).toMatchObject({ udpPort: 6000, udpAltPort: 5001, loginDatagram: false });
    expect(config.httpProxies).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('take other LDAP attribute names as a mapping or as pairs, of known fields only', () => {
    const file = yaml('ldap:\n  attributes:\n    alias: cn\n    telephone: mobile\n');
    expect(loadConfig({}, file).ldapAttributes).toEqual({ alias: 'cn', telephone: 'mobile' });
    expect(loadConfig({ VSERVER_LDAP_ATTRIBUTES: 'alias=cn' }).ldapAttributes).toEqual({ alias: 'cn' });
    expect(refusal({ VSERVER_LDAP_ATTRIBUTES: 'alais=cn' })[0]).toContain(
      'VSERVER_LDAP_ATTRIBUTES knows no field alais',
    );
  });

  it('take TURN servers as URIs of RFC 7065, and only together with their secret', () => {
    const secret = { VSERVER_TURN_SECRET: 'north' };
    const uris = ['turn:turn.example.com', 'turns:192.0.2.1:5349?transport=tcp', 'TURN:[2001:db8::1]:3478'];
    expect(loadConfig({ ...secret, VSERVER_TURN_URIS: uris.join(', ') }).turnUris).toEqual(uris);
    for (const wrong of [
      'stun:a',
      'turn.example.com',
      'turn://a',
      'turn:a:x',
      'turn:a?transport=sctp',
      'turn:"a"',
      'turn:',
    ]) {
      expect(refusal({ ...secret, VSERVER_TURN_URIS: wrong })[0]).toContain('VSERVER_TURN_URIS must be turn:host:port');
    }
    expect(refusal({ VSERVER_TURN_URIS: 'turn:a' })).toEqual(['VSERVER_TURN_URIS and VSERVER_TURN_SECRET go together']);
    expect(refusal(secret)).toEqual(['VSERVER_TURN_URIS and VSERVER_TURN_SECRET go together']);
    expect(turnSettings(loadConfig({}))).toBeNull();
  });

  it('are refused with their name where they are unknown, and the nearest known one is named', () => {
    expect(refusal({ VSERVER_UPD_PORT: '1' })).toEqual([
      'VSERVER_UPD_PORT is no setting, did you mean VSERVER_UDP_PORT?',
    ]);
    const file = yaml('udp:\n  prot: 1\nnonsense: true\n');
    expect(refusal({}, file)).toEqual([
      `${file}: udp.prot is no setting, did you mean udp.port?`,
      `${file}: nonsense is no setting`,
    ]);
    expect(refusal({ VSERVER_FOO: '1' })).toEqual(['VSERVER_FOO is no setting']);
  });

  it.each([
    [{ VSERVER_UDP_PORT: '70000' }, 'VSERVER_UDP_PORT must be a number from 0 to 65535'],
    [{ VSERVER_LISTEN: 'localhost' }, 'VSERVER_LISTEN must be an IP address'],
    [{ VSERVER_LOGIN_DATAGRAM: 'maybe' }, 'VSERVER_LOGIN_DATAGRAM must be on or off'],
    [{ VSERVER_REALM: 'a:b' }, 'VSERVER_REALM must be 1 to 64'],
    [{ VSERVER_DIRECTORY: 'oracle://x' }, 'VSERVER_DIRECTORY must begin with'],
    [{ VSERVER_EXPIRES: '30' }, 'VSERVER_EXPIRES (30) must be more than VSERVER_HEARTBEAT (30)'],
    [{ VSERVER_LISTEN: '0.0.0.0' }, 'VSERVER_ADVERTISE must be set where VSERVER_LISTEN is a wildcard'],
    [{ VSERVER_UDP_ALT_PORT: '4321' }, 'VSERVER_UDP_ALT_PORT must differ from VSERVER_UDP_PORT'],
    [{ VSERVER_HTTP_CERT: 'x.pem' }, 'VSERVER_HTTP_CERT and VSERVER_HTTP_KEY go together'],
    [{ VSERVER_NATS: 'nats://127.0.0.1' }, 'VSERVER_CLUSTER_KEY must be set in a cluster'],
    [{ VSERVER_NATS: 'http://127.0.0.1:4222' }, 'VSERVER_NATS must be nats://host:port'],
    [{ VSERVER_NATS: '127.0.0.1' }, 'VSERVER_NATS must be nats://host:port'],
    [{ VSERVER_NATS: 'nats://' }, 'VSERVER_NATS must be nats://host:port'],
    [{ VSERVER_NATS: 'nats://127.0.0.1:4222,' }, 'VSERVER_NATS must be nats://host:port'],
    [{ VSERVER_ADMIN_TOKEN: 'short' }, 'VSERVER_ADMIN_TOKEN must have 16 characters at least'],
    [{ VSERVER_LDAP_START_TLS: 'on', VSERVER_DIRECTORY: 'ldaps://h/dc=x' }, 'VSERVER_LDAP_START_TLS does not go with'],
    [{ VSERVER_LDAP_REPLICAS: 'ldap://r' }, 'VSERVER_LDAP_REPLICAS go with a directory in LDAP'],
    [{ VSERVER_LDAP_REPLICAS: 'r1', VSERVER_DIRECTORY: 'ldap://h/dc=x' }, 'VSERVER_LDAP_REPLICAS must be addresses'],
    [
      { VSERVER_LDAP_REPLICAS: 'ldap://r/dc=x', VSERVER_DIRECTORY: 'ldap://h/dc=x' },
      'VSERVER_LDAP_REPLICAS must be addresses',
    ],
  ])('are refused where they make no sense: %j', (environment, complaint) => {
    const lines = refusal(environment);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(complaint);
  });

  it('name all mistakes at once, and no secret', () => {
    const lines = refusal({ VSERVER_EXPIRES: 'x', VSERVER_UDP_PORT: '-1', VSERVER_CLUSTER_KEY: 'tiny-secret' });
    expect(lines).toHaveLength(3);
    expect(lines.join()).not.toContain('tiny-secret');
  });

  it('are refused where the file can not be read or is no mapping', () => {
    expect(refusal({}, '/nonexistent/vserver.yaml')[0]).toContain('ENOENT');
    expect(refusal({}, yaml('- a\n- b\n'))[0]).toContain('key: value pairs');
    expect(refusal({}, yaml('a: [b'))[0]).toContain('vserver.yaml');
  });

  it('do not change afterwards', () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });
});
