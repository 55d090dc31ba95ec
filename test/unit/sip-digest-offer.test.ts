import { describe, expect, it } from 'vitest';
import { settle } from '../support/clock.ts';
import { phone, sipNode } from '../support/sip-node.ts';
import type { SipNodeOptions } from '../support/sip-node.ts';

async function started(options: SipNodeOptions = {}) {
  const node = await sipNode(options);
  node.directory.put({ uid: 'alice' });
  return { ...node, alice: await phone(node.network, 'alice') };
}

type Started = Awaited<ReturnType<typeof started>>;

function offered({ alice }: Started, userAgent: string | null): string[] {
  alice.ask('REGISTER', { headers: { 'User-Agent': userAgent } });
  return alice.last.headers('WWW-Authenticate').map((one) => /algorithm=([^,]*)/.exec(one)?.[1] ?? '');
}

describe('a challenge', () => {
  it.each([
    'baresip v3.12.0 (x86_64/linux)',
    'baresip v4.1.0 (x86_64/Linux)',
    'Linphonec/5.1.65 (belle-sip/5.1.64)',
    'Not baresip v1.0.0',
    null,
  ])('to %s offers SHA-256, then MD5', async (userAgent) => {
    expect(offered(await started(), userAgent)).toEqual(['SHA-256', 'MD5']);
  });

  it.each([
    'baresip v0.6.6 (x86_64/linux)',
    'baresip v1.0.0 (x86_64/linux)',
    'baresip v2.11.0 (x86_64/linux)',
    'baresip v3.9.0 (x86_64/linux)',
    'baresip v3.11.0 (x86_64/Linux)',
    'sipsak 0.9.8.1',
    'SIPp',
  ])('to %s, which gives up at two, offers MD5', async (userAgent) => {
    expect(offered(await started(), userAgent)).toEqual(['MD5']);
  });

  it.each([
    ['md5', 'MD5'],
    ['sha-256', 'SHA-256'],
  ] as const)('where the operator wants %s offers %s to everybody', async (digest, algorithm) => {
    const node = await started({ settings: { digest } });
    expect(offered(node, null)).toEqual([algorithm]);
    expect(offered(node, 'baresip v1.0.0 (x86_64/linux)')).toEqual([algorithm]);
  });
});

describe('what was not offered', () => {
  it.each([
    ['md5', 'SHA-256', 'MD5'],
    ['sha-256', 'MD5', 'SHA-256'],
  ] as const)('is not taken: with %s an answer by %s is challenged again', async (digest, other, right) => {
    const { alice, table } = await started({ settings: { digest } });
    alice.register({}, { algorithm: other });
    await settle();
    expect(alice.status).toBe(401);
    expect(table.count).toBe(0);
    alice.register({}, { algorithm: right });
    await settle();
    expect(alice.status).toBe(200);
  });

  it('is not taken without qop either', async () => {
    const { alice } = await started({ settings: { digest: 'sha-256' } });
    alice.register({}, { withoutQop: true });
    await settle();
    expect(alice.status).toBe(401);
  });
});
