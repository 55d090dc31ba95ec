/** The bus over a real nats-server. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import { createBus } from '../../src/bus/bus.ts';
import { natsWire } from '../../src/bus/nats.ts';
import { systemClock, systemRandom, systemTimers } from '../../src/base/system.ts';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import { silentLog } from '../support/silent-log.ts';

/** Of who answers at once. */
const PATIENCE_MS = 20_000;

let nats: NatsServer;
const open: Bus[] = [];
const heard: unknown[] = [];

beforeEach(async () => {
  nats = await startNats();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close()));
  heard.length = 0;
  await nats.stop();
});

function node(name: string, url = nats.url): Bus {
  const wire = natsWire(url, name, { timers: systemTimers, log: silentLog });
  const bus = createBus({
    ...{ wire, name, clusterKey: 'the key of this cluster' },
    ...{ clock: systemClock, random: systemRandom, log: silentLog },
  });
  bus.on('news', (body, from) => void heard.push([name, from, body]));
  bus.on('double', (body) => ({ is: 2 * (body as { of: number }).of }));
  open.push(bus);
  return bus;
}

const areUp = (...buses: Bus[]) => expect.poll(() => buses.every((bus) => bus.isUp)).toBe(true);

test('messages reach all others, questions get answers, and who is not there is known to be not there', async () => {
  const [a, b, c] = [node('a'), node('b.example:1 >*'), node('c')];
  await areUp(a, b, c);
  await expect.poll(() => b.ask('c', 'double', { of: 2 }, 1_000)).toMatchObject({ body: { is: 4 } });
  expect(await a.ask('b.example:1 >*', 'double', { of: 21 }, PATIENCE_MS)).toMatchObject({ body: { is: 42 } });
  // That comes from NATS: who waits for an answer in vain hears 'silence'.
  expect(await a.ask('gone', 'double', { of: 1 }, PATIENCE_MS)).toBe('nobody');
  expect(await a.ask('a', 'double', { of: 1 }, PATIENCE_MS)).toBe('nobody');
  a.tellAll('news', { n: 1 });
  await expect.poll(() => heard).toHaveLength(2);
});

test('a node that is told to go has closed its connection', async () => {
  const [a, b] = [node('a'), node('b')];
  await areUp(a, b);
  await b.close();
  await expect.poll(() => a.ask('b', 'double', { of: 1 }, 1_000)).toBe('nobody');
});

test('while nats-server is dead nobody waits, and when it is back the talk goes on', async () => {
  const [a, b] = [node('a'), node('b')];
  await areUp(a, b);
  await nats.kill('SIGKILL');
  await expect.poll(() => a.isUp || b.isUp).toBe(false);
  expect(await a.ask('b', 'double', { of: 1 }, 60_000)).toBe('down');
  a.tell('b', 'news', {});
  await nats.start();
  await areUp(a, b);
  await expect.poll(() => a.ask('b', 'double', { of: 3 }, 1_000)).toMatchObject({ body: { is: 6 } });
});

test('a node starts without nats-server, and finds it when it comes', async () => {
  await nats.stop();
  const [a, b] = [node('a'), node('b')];
  expect(await a.ask('b', 'double', { of: 1 }, 60_000)).toBe('down');
  await nats.start();
  await areUp(a, b);
  await expect.poll(() => a.ask('b', 'double', { of: 3 }, 1_000)).toMatchObject({ body: { is: 6 } });
});
