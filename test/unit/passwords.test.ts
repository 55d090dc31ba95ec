import { createHash, pbkdf2Sync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkStored, equalSecrets, hashPassword, isPlainText, verifiers } from '../../src/directory/passwords.ts';

/** All of the password `secret`. Made by slapd's slappasswd, by perl's crypt (glibc) and by Python's hashlib. */
const STORED: readonly (readonly [name: string, stored: string])[] = [
  ['plain text', 'secret'],
  ['SHA', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='],
  ['SSHA', '{SSHA}6Puvcy0s3f7yAWIALSB24ZP6JfboyEYu'],
  ['SHA256', '{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols='],
  ['SSHA256', '{SSHA256}2Cdy6uqDRWaSdmLzwCy1j1mQyqQs12t3mlUaymRYo4jU3J9JK6yABw=='],
  ['SHA512', '{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg=='],
  [
    'SSHA512',
    '{SSHA512}aXegd25KZPHz5XPr5eotBOuYk9z9nUfHoHp+gqdsfsZr0or6twWp7IHtBsqF0XSU7ThpZDpS22t/twahU65HajhpSanucYXr',
  ],
  ['PBKDF2', '{PBKDF2-SHA256}10000$..9zYWx0LW9mLTE2LWJ5dGU$VHOpFt1dBkvIxuGu6QIeQo0TQ3VAvVhdQA/.PnZNEqA'],
  [
    'argon2i of OpenLDAP',
    '{ARGON2}$argon2i$v=19$m=4096,t=3,p=1$4TOF1Ec7CbQXpWjuSyVhwg$K/jZBP5iliJ/GNt47ScBqF6Z20H+PH9eNUpqtbK7s50',
  ],
  ['crypt, DES', '{CRYPT}abNANd1rDfiNc'],
  ['crypt, MD5', '{CRYPT}$1$saltsalt$9xy1btjgzLYfb7hivXtC//'],
  ['crypt, SHA-256', '{CRYPT}$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2'],
  [
    'crypt, SHA-512',
    '{CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1',
  ],
];

describe.each(STORED)('a password stored as %s', (_name, stored) => {
  it('is matched by the right one', async () => {
    expect(await checkStored(stored, 'secret')).toBe('match');
  });
  it('is not matched by another one, by its beginning, or by the stored value itself', async () => {
    for (const wrong of ['Secret', 'secre', 'secret ', '']) expect(await checkStored(stored, wrong)).toBe('mismatch');
    if (stored !== 'secret') expect(await checkStored(stored, stored)).toBe('mismatch');
  });
  it('is not matched when a part of it was lost or changed', async () => {
    if (stored === 'secret') return;
    const scheme = /^\{.*\}/.exec(stored)?.[0] ?? '';
    const cut = stored.slice(0, -3);
    const spoilt = `${stored.slice(0, -4)}!${stored.slice(-3)}`;
    for (const bad of [scheme, `${scheme}x`, cut, spoilt, `${stored}AAAA`, `${scheme}$$$$`]) {
      expect(await checkStored(bad, 'secret'), bad).not.toBe('match');
    }
  });
});

/** Of perl's crypt: long, short and non-ASCII passwords, salts of every length, both sides of the block length. */
const CRYPT: readonly (readonly [password: string, hash: string])[] = [
  ['secret', 'abNANd1rDfiNc'],
  ['secret', './17m29LFAflg'],
  ['secret', 'ZzU3r240Q6iws'],
  ['secret', '$1$saltsalt$9xy1btjgzLYfb7hivXtC//'],
  ['secret', '$1$x$0AXOYAuOs.uNCmG2qRI8W.'],
  ['secret', '$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA'],
  ['secret', '$5$rounds=1000$abcdefghijklmnop$FzYoqjtuN.mjYqssIob4upmoKbZEpkdQMtytZuqNN/6'],
  ['secret', '$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1'],
  ['secret', '$6$rounds=2345$q$FqjtRVMj9kdAfmoL7jN6kIxRxGSfel9xfaxvHh6kbhFFKJvCoALtzf4Ar58znY0gmWkc6AR2H4UIBvF.M.ic30'],
  ['a', 'abxxB7HlIeckU'],
  ['a', './xT2u5QYaHcU'],
  ['a', 'ZzsizYWrNJRQc'],
  ['a', '$1$saltsalt$MzDjbImyzEz2m0NTiPzNW/'],
  ['a', '$1$x$P8VObTrxaqT4VBmnH06P8.'],
  ['a', '$5$saltsalt$Mtm6KOxb.PwaKES1sp80SDYOu1T0RdwsBVakhLiqA64'],
  ['a', '$5$rounds=1000$abcdefghijklmnop$Z7B24mb7G0UGbrVQx5XsOSvQGEPLZct8F32pHM2IdVA'],
  ['a', '$6$saltsalt$8gzUrz5S2/0AfMGfui2LllQQ2fwu.jYnAVGef2XY7gAo0jNFrzHsTq9lMr2ze7QvIJxr4BYOKdgDpx4Va9Atb1'],
  ['a', '$6$rounds=2345$q$IMSQqa6lgrDBtz3aMftNuAuKCHgw1yxK94WlCmI/xH6I0UtHk8vwPtTrm4IHsg4wERydnX0jBCDpIqliU3aMH.'],
  ['pässwörd', 'abzp3RXJm5gNA'],
  ['pässwörd', './vYBXr45rAoM'],
  ['pässwörd', 'ZzwM.07XybWK6'],
  ['pässwörd', '$1$saltsalt$VReRfkQ8Hs1aayf/oxMkG/'],
  ['pässwörd', '$1$x$JCGkBY00FL7KZ2Wf1VmLX.'],
  ['pässwörd', '$5$saltsalt$JUyX9J5pA1EE4ZvGcIA.vpwPCUQ8GlJbo51r7M84au8'],
  ['pässwörd', '$5$rounds=1000$abcdefghijklmnop$hSSl8kVq9Mht7u5AI6SuvMjBT9VwuMiU8Eh69ircxG.'],
  ['pässwörd', '$6$saltsalt$TQjRhpJdqmLx0U8it3EsUajwkmOMMvw5vhUFc7mohzFFoj/QHrfYUHU1oSkwyCEoTUCDOiAOW135nel3bqtKe.'],
  [
    'pässwörd',
    '$6$rounds=2345$q$tPd/kzBVmB7OIMymn1KmTZ5SJMZiFGeizPrx7ckWv8lT8FOXPHp9DCPsGE/Okox90xvm7zX6.0H9n56YYpAUz1',
  ],
  ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'abzDJoqKYZJww'],
  ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', './jft5DtbqH.6'],
  ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'ZzA62YzmFlE.Q'],
  ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '$1$saltsalt$40sy8H2JIWFTWdUzmCs5a0'],
  ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '$1$x$OuQPGwrCpQYx4vTr3m3Xp1'],
  [
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    '$5$saltsalt$fSdtAAr549Wx1h7lL66XTpgqF.cls5UHCOgn4sOxZf6',
  ],
  [
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    '$5$rounds=1000$abcdefghijklmnop$FLkf5EPMThS2YWz8w0WqIdr8tYWNynYDclugInXS3C7',
  ],
  [
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    '$6$saltsalt$C5CiOp5hzWfLBtAQAALVOOMR08JrIOkgRmXGzI0TCaC16MCubeLZnsNrkdNzBIBVDEd.Bf4YsDDJCDMa01Poz.',
  ],
  [
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    '$6$rounds=2345$q$5K8NEjxuTAdOk8VWd32u8QefwDsmkxD8gg8jopHEC0gkBrr3/SedmV.8qgGLG7BoKw4dpIQwuXknePXeKPT8B/',
  ],
  ['correct horse battery staple', 'abhfCpXqd4GrI'],
  ['correct horse battery staple', './DA5yokVJ1R2'],
  ['correct horse battery staple', 'ZziV3MgI7K8nk'],
  ['correct horse battery staple', '$1$saltsalt$BsXyQbZiQujHkdhwPwdol.'],
  ['correct horse battery staple', '$1$x$UUMx6/QlTOp7GpANhxO2D1'],
  ['correct horse battery staple', '$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.'],
  ['correct horse battery staple', '$5$rounds=1000$abcdefghijklmnop$zCl7G1SiQQ2lcZ049EL4.iFtt1OCJ5FKX/mQTZzm1b4'],
  [
    'correct horse battery staple',
    '$6$saltsalt$CPgxBHZBXfhC6lX1yxpdEsbQfXmg3WXVj8AoVwyNFLfb5AtbfM8k6A8yehv1z6sgzoH/DUIs7YK9hVnGhTjhW/',
  ],
  [
    'correct horse battery staple',
    '$6$rounds=2345$q$DR5npgoJ6DMF79R5q1R40.K/0IZ1FQ5l6tfJl.YZI9dlHEYJn0IMMPD504E3OzL5wabkNnMTl8/36BgjDUrOR.',
  ],
];

describe('crypt(3)', () => {
  it.each(CRYPT)('%s gives %s', async (password, hash) => {
    expect(await checkStored(`{CRYPT}${hash}`, password)).toBe('match');
    expect(await checkStored(`{CRYPT}${hash}`, `y${password}`)).toBe('mismatch');
  });
  it('DES counts 8 characters only, as it always did', async () => {
    expect(await checkStored('{CRYPT}abD6HAB6eqg.k', 'longpassword')).toBe('match');
    expect(await checkStored('{CRYPT}abD6HAB6eqg.k', 'longpassXXXX')).toBe('match');
  });
  it('gives the event loop its turns during SHA-crypt', async () => {
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    const sha512 = STORED.at(-1)?.[1] ?? '';
    await checkStored(sha512, 'secret');
    done = true;
    expect(turns).toBeGreaterThanOrEqual(10);
  });
});

describe('schemes', () => {
  it('are known in any case', async () => {
    expect(await checkStored('{ssha}6Puvcy0s3f7yAWIALSB24ZP6JfboyEYu', 'secret')).toBe('match');
    expect(await checkStored('{Crypt}abNANd1rDfiNc', 'secret')).toBe('match');
  });
  it.each(['{SASL}user@realm', '{X-UNKNOWN}abc', '{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==', '{CRYPT}$2y$05$abcdefghijklmno'])(
    '%s is unsupported',
    async (stored) => {
      expect(await checkStored(stored, 'secret')).toBe('unsupported');
      expect(await checkStored(stored, stored)).toBe('unsupported');
    },
  );
  it('begin a stored value with a word in braces; everything else is plain text', async () => {
    expect(isPlainText('{SSHA}x')).toBe(false);
    expect(isPlainText('{anything}')).toBe(false);
    for (const plain of ['secret', '{', '{}x', '{two words}x', ' {SHA}x']) {
      expect(isPlainText(plain)).toBe(true);
      expect(await checkStored(plain, plain)).toBe('match');
    }
  });
  it('of a {SSHA} may have a salt of any length, of a {SHA} none', async () => {
    const ssha = (salt: string): string => {
      const digest = createHash('sha1').update(`secret${salt}`).digest();
      return Buffer.concat([digest, Buffer.from(salt)]).toString('base64');
    };
    expect(await checkStored(`{SSHA}${ssha('1')}`, 'secret')).toBe('match');
    expect(await checkStored(`{SSHA}${ssha('a salt of thirty and more bytes')}`, 'secret')).toBe('match');
    expect(await checkStored(`{SHA}${ssha('1')}`, 'secret')).toBe('mismatch');
    expect(await checkStored(`{SSHA}${ssha('')}`, 'secret')).toBe('mismatch');
  });
});

describe('the cost of a check is bounded', () => {
  const hash = pbkdf2Sync('secret', 'salt', 1, 32, 'sha256').toString('base64').replaceAll('+', '.').slice(0, 43);
  it.each([
    `{PBKDF2-SHA256}4000000000$c2FsdA$${hash}`,
    '{CRYPT}$6$rounds=999999999$salt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1',
    '{ARGON2}$argon2id$v=19$m=4194304,t=2,p=1$RuNy54gYfkBGUDXFLpvFUg$AKq2Uciu6zF4akwHqv/VycV425s2vhMvkmNCHmpq7hw',
    '{ARGON2}$argon2id$v=19$m=65536,t=4000000,p=1$RuNy54gYfkBGUDXFLpvFUg$AKq2Uciu6zF4akwHqv/VycV425s2vhMvkmNCHmpq7hw',
  ])('%s is refused', async (stored) => {
    expect(await checkStored(stored, 'secret')).toBe('unsupported');
  });
  it('an iteration count at the low end is taken, zero is not', async () => {
    expect(await checkStored(`{PBKDF2-SHA256}1$c2FsdA$${hash}`, 'secret')).toBe('match');
    expect(await checkStored(`{PBKDF2-SHA256}0$c2FsdA$${hash}`, 'secret')).toBe('mismatch');
  });
  it('a password of more than 512 bytes never matches, not even itself', async () => {
    const long = 'x'.repeat(513);
    expect(await checkStored(long, long)).toBe('mismatch');
    expect(await checkStored(long.slice(1), long.slice(1))).toBe('match');
    await expect(hashPassword(long)).rejects.toMatchObject({ code: 'INVALID_RECORD' });
  });
  it('checks beyond those that run and wait are refused as OVERLOADED', async () => {
    const checks = Array.from({ length: 300 }, () => checkStored('{PBKDF2-SHA256}1$c2FsdA$' + hash, 'secret'));
    const settled = await Promise.allSettled(checks);
    const refused = settled.filter((one) => one.status === 'rejected');
    expect(refused).toHaveLength(300 - 4 - 256);
    expect(refused[0]?.reason).toMatchObject({ code: 'OVERLOADED', status: 503 });
    expect(settled.filter((one) => one.status === 'fulfilled' && one.value === 'match')).toHaveLength(260);
    expect(await checkStored(`{PBKDF2-SHA256}1$c2FsdA$${hash}`, 'secret')).toBe('match');
  });
});

describe('hashPassword', () => {
  it('makes an argon2id, each time another one, that checkStored takes', async () => {
    const [one, two] = [await hashPassword('geheim Ω'), await hashPassword('geheim Ω')];
    expect(one).toMatch(/^\{ARGON2\}\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(two);
    expect(await checkStored(one, 'geheim Ω')).toBe('match');
    expect(await checkStored(one, 'geheim O')).toBe('mismatch');
  });
  it('refuses the empty password', async () => {
    await expect(hashPassword('')).rejects.toMatchObject({ code: 'INVALID_RECORD' });
  });
});

describe('verifiers', () => {
  it('are the HA1 of RFC 7616 (its example, section 3.9.1)', () => {
    expect(verifiers('Mufasa', 'http-auth@example.org', 'Circle of Life')).toEqual({
      ha1Md5: '3d78807defe7de2157e2b0b6573a855f',
      ha1Sha256: createHash('sha256').update('Mufasa:http-auth@example.org:Circle of Life').digest('hex'),
    });
    expect(verifiers('10017676', 'vserver', 'secret').ha1Sha256).toBe(
      '6c001c269462dde317a956e2afd1cc99a601ed33f09e10d3e3d8219df81c32f7',
    );
  });
});

describe('equalSecrets', () => {
  it('compares texts of any length', () => {
    expect(equalSecrets('a', 'a')).toBe(true);
    expect(equalSecrets('a', 'ab')).toBe(false);
    expect(equalSecrets('', 'a')).toBe(false);
    expect(equalSecrets('a', '')).toBe(false);
    expect(equalSecrets('ab', 'abab')).toBe(false);
    expect(equalSecrets('', '')).toBe(true);
  });
});
