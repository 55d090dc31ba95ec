import { Duplex } from 'node:stream';
import { BerWriter, DeleteRequest, ResultCodeError, UnbindRequest } from 'ldapts';
import { describe, expect, it } from 'vitest';
import { ldapConnection } from '../../src/directory/ldap-connection.ts';
import type { LdapConnection } from '../../src/directory/ldap-connection.ts';

interface Server {
  readonly connection: LdapConnection;
  /** What one write of the client held. */
  readonly written: Buffer[];
  /** Sends to the client. */
  readonly say: (bytes: Buffer) => Promise<void>;
  readonly socket: Duplex;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function open(): Server {
  const written: Buffer[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _, done) {
      written.push(chunk);
      done();
    },
  });
  const say = async (bytes: Buffer): Promise<void> => {
    socket.push(bytes);
    await turn();
  };
  return { connection: ldapConnection(socket), written, say, socket };
}

const remove = (messageId: number): Buffer => new DeleteRequest({ messageId, dn: 'cn=a' }).write();

/** A DelResponse (RFC 4511 section 4.8). */
function answer(id: number, code: number, text = ''): Buffer {
  const message = new BerWriter();
  message.startSequence();
  message.writeInt(id);
  message.startSequence(0x6b);
  message.writeEnumeration(code);
  message.writeString('');
  message.writeString(text);
  message.endSequence();
  message.endSequence();
  return Buffer.from(message.buffer);
}

const YES = { entries: [], controls: [] };

describe('a connection to an LDAP server', () => {
  it('sends what one turn asks in one write, under ids of their own, and takes answers in any order', async () => {
    const { connection, written, say } = open();
    const both = Promise.allSettled([connection.send(remove), connection.send(remove)]);
    await turn();
    expect(written).toEqual([Buffer.concat([remove(1), remove(2)])]);
    await say(Buffer.concat([answer(2, 32, 'gone'), answer(1, 0)]));
    const [first, second] = await both;
    expect(first).toEqual({ status: 'fulfilled', value: YES });
    const reason = second.status === 'rejected' ? (second.reason as unknown) : null;
    expect(reason).toBeInstanceOf(ResultCodeError);
    expect(reason).toMatchObject({ code: 32, message: expect.stringContaining('gone') as string });
  });

  it('takes answers that come in pieces', async () => {
    const { connection, say } = open();
    const sent = connection.send(remove);
    for (const byte of answer(1, 0)) await say(Buffer.from([byte]));
    await expect(sent).resolves.toEqual(YES);
  });

  it('passes over answers that nobody waits for', async () => {
    const { connection, say } = open();
    const sent = connection.send(remove);
    await say(Buffer.concat([answer(0, 52, 'going down'), answer(9, 0), answer(1, 0)]));
    await expect(sent).resolves.toEqual(YES);
  });

  it.each([
    ['that is no LDAP', Buffer.from('HTTP/1.1 400 Bad Request')],
    ['whose inner lengths are wrong', Buffer.from([0x30, 5, 2, 1, 1, 0x6b, 9])],
    ['of a kind that was not asked for', Buffer.from([0x30, 7, 2, 1, 1, 0x79, 2, 0x80, 0])],
  ])('ends at a message %s', async (_, bytes) => {
    const { connection, say, socket } = open();
    const sent = connection.send(remove);
    await Promise.all([expect(sent).rejects.toThrow(), say(bytes)]);
    expect([connection.isOpen, socket.destroyed]).toEqual([false, true]);
    await expect(connection.send(remove)).rejects.toThrow('closed');
  });

  it('fails what is under way where the server hangs up', async () => {
    const { connection, socket } = open();
    const sent = connection.send(remove);
    socket.destroy(new Error('reset'));
    await expect(sent).rejects.toThrow('reset');
    expect(connection.isOpen).toBe(false);
  });

  it('says goodbye where it is closed', async () => {
    const { connection, written, socket } = open();
    connection.close();
    await turn();
    expect(written).toEqual([new UnbindRequest({ messageId: 1 }).write()]);
    expect(socket.destroyed).toBe(true);
  });

  it('is not left to TLS where something came behind the answer: anybody may have sent that', async () => {
    const { connection, say } = open();
    const sent = connection.send(remove);
    await say(Buffer.concat([answer(1, 0), answer(2, 0).subarray(0, 5)]));
    await sent;
    expect(() => {
      connection.release();
    }).toThrow();
  });
});
