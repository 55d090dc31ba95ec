/** The reference of HTTP: Fastify saying hello. */
import fastify from 'fastify';
import { answer } from './talk.ts';

const app = fastify();
app.get('/', () => ({ hello: 'world' }));
const url = await app.listen({ host: '127.0.0.1', port: 0 });
answer({ port: () => Number(new URL(url).port) });
