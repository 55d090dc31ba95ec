/** What goes out over a plain socket, also while the system takes nothing. */
import { describe, expect, it } from 'vitest';
import { createPlainOutgoing } from '../../src/base/plain-outgoing.ts';

const TO = { host: '10.0.0.1', port: 5060 };

/** As Node's socket: what the system does not take now is sent later, from where it stands then. */
function socket() {
  const sent: string[] = [];
  const queue: Buffer[] = [];
  const rooms = new Set<unknown>();
  const state = { isFull: false };
  const send = (room: Buffer, at: number, length: number): void => {
    rooms.add(room);
    const part = room.subarray(at, at + length);
    if (state.isFull) queue.push(part);
    else sent.push(part.toString('latin1'));
  };
  const drain = (): void => {
    state.isFull = false;
    for (const part of queue.splice(0)) sent.push(part.toString('latin1'));
  };
  const size = (): number => queue.reduce((sum, { length }) => sum + length, 0);
  const fake = { send, getSendQueueCount: () => queue.length, getSendQueueSize: size };
  return { sent, queue, rooms, state, drain, size, outgoing: createPlainOutgoing(fake as never, false) };
}

const text = (i: number): string => `datagram ${i} `.padEnd(500, '.');

describe('what is sent over a plain socket', () => {
  it('goes out in its order when it is flushed, and by itself where much waits', () => {
    const { outgoing, sent } = socket();
    for (let i = 0; i < 100; i++) outgoing.add(Buffer.from(text(i)), TO);
    expect(sent).toHaveLength(64);
    outgoing.flush();
    expect(sent).toEqual(Array.from({ length: 100 }, (_, i) => text(i)));
  });

  it('is not written over while the system takes nothing, and needs no room of its own a datagram', () => {
    const { outgoing, sent, state, drain, rooms } = socket();
    state.isFull = true;
    for (let i = 0; i < 2_000; i++) {
      outgoing.add(Buffer.from(text(i)), TO);
      outgoing.flush();
    }
    expect(rooms.size).toBe(4);
    drain();
    expect(sent).toEqual(Array.from({ length: 2_000 }, (_, i) => text(i)));
    outgoing.add(Buffer.from('after'), TO);
    outgoing.flush();
    expect(sent.at(-1)).toBe('after');
  });

  it('is lost where 4 MiB wait', () => {
    const { outgoing, state, size, drain, sent } = socket();
    state.isFull = true;
    const long = Buffer.alloc(65_535);
    for (let i = 0; i < 200; i++) {
      outgoing.add(long, TO);
      outgoing.flush();
    }
    expect(size()).toBeLessThan(4 * 1024 * 1024 + 65_536);
    drain();
    outgoing.flush();
    outgoing.add(Buffer.from('after'), TO);
    outgoing.flush();
    expect(sent.at(-1)).toBe('after');
  });
});
