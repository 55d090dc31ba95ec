/** The TURN credentials of a CONFIG, taken to a real coturn. */
import { XMLParser } from 'fast-xml-parser';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/system.ts';
import { turnCredentials } from '../../src/config-xml/turn.ts';
import type { Coturn } from '../support/coturn.ts';
import { startCoturn } from '../support/coturn.ts';
import { http, httpLogin, removeFolders, startNode, stopNodes } from './support-node.ts';

const SECRET = 'a secret that coturn and all nodes know';
const UID = '10017676';

let coturn: Coturn;
beforeAll(async () => {
  coturn = await startCoturn(SECRET, 'vserver');
});
afterEach(stopNodes);
afterAll(async () => {
  await coturn.stop();
  removeFolders();
});

/** The TURN element of the user's CONFIG, by a node that knows this secret. */
async function turnOf(secret: string): Promise<Record<string, string>> {
  const uri = `turn:127.0.0.1:${coturn.port}?transport=udp`;
  const node = await startNode({ VSERVER_TURN_URIS: uri, VSERVER_TURN_SECRET: secret, VSERVER_TURN_LIFETIME: '3600' });
  const { token } = await httpLogin(node, UID);
  const { text } = await http(`${node.http}/v1/config`, { token });
  const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '' });
  const { CONFIG } = parser.parse(text) as { CONFIG: { PRIVATE: { TURN: Record<string, string> } } };
  expect(CONFIG.PRIVATE.TURN['SERVER']).toBe(uri);
  return CONFIG.PRIVATE.TURN;
}

test('coturn relays for whoever has the credentials of his CONFIG', async () => {
  const { USER = '', PWD = '', EXPIRES = '' } = await turnOf(SECRET);
  expect(USER).toBe(`${Date.parse(EXPIRES) / 1000}:${UID}`);
  const { isRelayed, output } = await coturn.relay(USER, PWD);
  expect(isRelayed, output).toBe(true);
});

test('coturn relays for nobody whose node has another secret, who calls himself otherwise, or whose time is up', async () => {
  const other = await turnOf('a secret that coturn does not know');
  expect((await coturn.relay(other['USER'] ?? '', other['PWD'] ?? '')).isRelayed).toBe(false);
  const { USER = '', PWD = '' } = await turnOf(SECRET);
  expect((await coturn.relay(USER.replace(UID, '10043939'), PWD)).isRelayed).toBe(false);
  const settings = { uris: [], secret: SECRET, lifetimeS: 3_600 };
  const late = turnCredentials(settings, UID, Math.floor(systemClock.now() / 1000) - 10);
  expect((await coturn.relay(late.user, late.password)).isRelayed).toBe(false);
});
