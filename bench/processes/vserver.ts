/** The node, compiled, with the settings of its environment. */
import type * as ConfigModule from '../../src/config.ts';
import type * as NodeModule from '../../src/node.ts';
import { answer, built } from './talk.ts';

const { loadConfig } = await built<typeof ConfigModule>('config.js');
const { createNode } = await built<typeof NodeModule>('node.js');
const node = await createNode(loadConfig(process.env));
answer(
  {
    ports: () => ({ udp: node.udp.port, sip: node.sip.port, http: Number(new URL(node.http).port) }),
    online: () => node.core.table.count,
    peakBytes: () => 1024 * process.resourceUsage().maxRSS,
    // Logouts are written behind the client's back.
    settled: () => node.core.outbox.flush(),
  },
  () => node.stop(false),
);
