/** PROTOCOL.md section 2: each request carries its own token, whatever its connection carried before. */
import { Agent, get } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { httpApp, type HttpApp } from '../support/http-app.ts';

let app: HttpApp;
let port: number;
/** One connection for all. */
let agent: Agent;
beforeEach(async () => {
  app = await httpApp();
  app.directory.put({ uid: 'u' });
  app.directory.put({ uid: 'other' });
  ({ port } = await app.http.listen({ host: '127.0.0.1', port: 0 }));
  agent = new Agent({ keepAlive: true, maxSockets: 1 });
});
afterEach(async () => {
  agent.destroy();
  await app.http.close();
});

interface Answer {
  readonly status: number | undefined;
  readonly reused: boolean;
  readonly body: string;
}

const ask = (headers: { authorization: string }): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: '/v1/config', agent, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => {
        resolve({ status: response.statusCode, reused: request.reusedSocket, body });
      });
    });
    request.on('error', reject);
  });

test('a wrong token is refused where a good one came before, and the good one is still good', async () => {
  const good = await app.loggedIn('u');
  const last = good.authorization.endsWith('0') ? '1' : '0';
  const wrong = { authorization: good.authorization.slice(0, -1) + last };
  expect(await ask(good)).toMatchObject({ status: 200, reused: false });
  expect(await ask(wrong)).toMatchObject({ status: 401, reused: true });
  expect(await ask(good)).toMatchObject({ status: 200, reused: true });
});

test('a good token is good no more when its session has ended', async () => {
  const session = await app.loggedIn('u');
  expect((await ask(session)).status).toBe(200);
  await app.ask({ method: 'POST', url: '/v1/logout', headers: session });
  expect(await ask(session)).toMatchObject({ status: 401, reused: true });
});

test('the sessions of several users may share a connection, as behind a proxy', async () => {
  const sessions = [await app.loggedIn('u'), await app.loggedIn('other')] as const;
  for (const round of [0, 1]) {
    expect((await ask(sessions[0])).body).toContain('ID="u"');
    expect(await ask(sessions[1])).toMatchObject({ status: 200, reused: true });
    expect((await ask(sessions[1])).body, `round ${round}`).toContain('ID="other"');
  }
});
