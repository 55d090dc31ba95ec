/** An HTTP client that keeps connections alive and several requests in each of them, and counts whole answers. */
import { connect } from 'node:net';
import { once } from 'node:events';

export interface HttpLoad {
  readonly port: number;
  /** One request; asked again and again until `count` of them are answered. */
  readonly requests: readonly string[];
  readonly count: number;
  readonly status: number;
}

const CONNECTIONS = 16;
const PIPELINED = 8;

/** Seconds. Rejects where an answer has another status. */
export async function loadHttp({ port, requests, count, status }: HttpLoad): Promise<number> {
  let asked = 0;
  const next = (): string | undefined => (asked < count ? requests[asked++ % requests.length] : undefined);
  const start = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, () => converse(port, next, `HTTP/1.1 ${status} `)));
  return (performance.now() - start) / 1000;
}

async function converse(port: number, next: () => string | undefined, statusLine: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  await once(socket, 'connect');
  let pending = 0;
  const refill = (): void => {
    let text = '';
    for (; pending < PIPELINED; pending++) {
      const request = next();
      if (request === undefined) break;
      text += request;
    }
    if (text !== '') socket.write(text);
    if (pending === 0) socket.end();
  };
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let length = answerLength(rest); length > 0 && length <= rest.length; length = answerLength(rest)) {
      const line = rest.toString('latin1', 0, statusLine.length);
      if (line !== statusLine) socket.destroy(new Error(`answered ${line}`));
      rest = rest.subarray(length);
      pending--;
    }
    refill();
  });
  const closed = once(socket, 'close');
  refill();
  await closed;
}

/** Bytes of the first answer, head and body; 0 where its head is not here yet. */
function answerLength(bytes: Buffer): number {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return 0;
  const head = bytes.toString('latin1', 0, headEnd);
  return headEnd + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
}
