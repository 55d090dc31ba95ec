/** The admin API of the node that runs on this data folder. */
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { resolve } from 'node:path';
import type { ErrorCode } from '../base/errors.ts';
import { ERRORS, VserverError } from '../base/errors.ts';
import { isRunning } from '../base/process.ts';
import type { Config } from '../config.ts';
import type { RunFile } from '../run-file.ts';
import { readRunFile, runFilePath } from '../run-file.ts';
import { adminTokenPath } from '../secrets.ts';
import { SETTINGS } from '../settings.ts';
import { CommandError, EXIT } from './failures.ts';

const ANSWER_MS_MAX = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export interface RunningNode {
  readonly pid: number;
  /** As it is told to others. */
  readonly http: string;
  /** Rejects with the VserverError that the node answered, or a CommandError where it does not answer. */
  call<T>(method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string, body?: object): Promise<T>;
  /** Whether the process is still there. */
  isAlive(): boolean;
}

/**
 * The node that runs on the data folder; null where none does. What a crashed one left behind counts as none, also where
 * another process has its pid now.
 */
export function findNode(config: Config): RunningNode | null {
  const run = readRunFile(config.data);
  if (run === null) return null;
  const isAlive = (): boolean => isRunning(run.pid, run.processStart);
  if (!isAlive()) return null;
  const call: RunningNode['call'] = async (method, path, body) => {
    const { status, text } = await send(config, run, method, path, body);
    const answer: unknown = text === '' ? {} : parse(text);
    if (status >= 400) throw problemOf(answer, status);
    return answer as never;
  };
  return { pid: run.pid, http: run.http, call, isAlive };
}

/** The same, where the command needs one. */
export function needNode(config: Config): RunningNode {
  const node = findNode(config);
  if (node === null) {
    throw new CommandError(
      EXIT.unreachable,
      `no node runs here (looked for ${resolve(runFilePath(config.data))}): start one, go to the folder where it was ` +
        `started, or set ${SETTINGS.data.env} (or --config) as it has`,
    );
  }
  return node;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function send(config: Config, run: RunFile, method: string, path: string, body?: object): Promise<Answer> {
  const url = new URL(path, run.local);
  const options: RequestOptions = {
    method,
    headers: {
      authorization: `Bearer ${adminToken(config, run)}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  };
  return new Promise((done, reject) => {
    const fail = (error: Error): void => {
      reject(
        new CommandError(
          EXIT.unreachable,
          `the node of ${runFilePath(config.data)} (process ${run.pid}) does not answer at ${url.host} (${error.message}); ` +
            'look at its log',
        ),
      );
    };
    const onResponse = (response: IncomingMessage): void => {
      readAll(response).then((text) => {
        done({ status: response.statusCode ?? 500, text });
      }, fail);
    };
    // The certificate is the node's own file, whatever name stands in it.
    const own = { allowPartialTrustChain: true, checkServerIdentity: () => undefined };
    const request =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, ...own, ca: readFileSync(run.certFile) }, onResponse)
        : httpRequest(url, options, onResponse);
    request.on('error', fail);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > ANSWER_BYTES_MAX) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function adminToken(config: Config, run: RunFile): string {
  if (run.adminToken === 'set') {
    if (config.adminToken !== '') return config.adminToken;
    throw new CommandError(
      EXIT.refused,
      `the node runs with an admin token of its settings: set ${SETTINGS.adminToken.env} (or --config) as it has`,
    );
  }
  const path = adminTokenPath(config.data);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new CommandError(EXIT.refused, `the admin token in ${path} can't be read: run this as the user of the node`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandError(EXIT.failed, 'the node answered something that is no JSON');
  }
}

function problemOf(answer: unknown, status: number): VserverError {
  const { code, detail } = answer as { code?: unknown; detail?: unknown };
  const known = typeof code === 'string' && code in ERRORS ? (code as ErrorCode) : 'INTERNAL';
  return new VserverError(known, typeof detail === 'string' ? detail : `the node answered ${status}`);
}
