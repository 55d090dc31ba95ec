/** Sends prepared datagrams, a window of them in flight: by a small C program where there is a compiler, else by dgram. */
import { execFile, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pinned } from './child.ts';

export interface Load {
  readonly datagrams: readonly Buffer[];
  readonly port: number;
  /** Where they come from: the port at which the sessions were opened. */
  readonly sourcePort: number;
  /** How the replies must begin. */
  readonly prefix: string;
  /** One reply in so many is kept. */
  readonly sampleEvery?: number;
  /** They are SIP INVITEs, and each response is acknowledged. Only the native generator can. */
  readonly ack?: boolean;
  /** So many are sent a second, and the time to each reply is told. Only the native generator can. */
  readonly rate?: number;
}

/** From sending a request to the reply, microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoadResult {
  readonly received: number;
  readonly good: number;
  readonly lost: number;
  readonly seconds: number;
  /** Where a rate was asked for. */
  readonly latencyUs?: Latency;
  /** Some of the replies. */
  readonly samples: readonly Buffer[];
}

export interface Generator {
  readonly name: string;
  readonly run: (load: Load) => Promise<LoadResult>;
}

const WINDOW = 64;
const SAMPLE_EVERY = 2_000;
const SILENCE_MS = 250;
const CORE = '1';

/** `folder` takes the compiled program and its data. */
export function openGenerator(folder: string): Generator {
  const source = fileURLToPath(new URL('native/loadgen.c', import.meta.url));
  const program = join(folder, 'loadgen');
  const { status } = spawnSync('cc', ['-O2', '-o', program, source], { stdio: 'ignore' });
  if (status !== 0) return { name: 'dgram (no C compiler here)', run: runDgram };
  return { name: 'native', run: (load) => runNative(program, join(folder, 'datagrams'), load) };
}

async function runNative(program: string, file: string, load: Load): Promise<LoadResult> {
  const { sampleEvery = SAMPLE_EVERY, ack = false, rate } = load;
  const mode = [...(ack ? ['ack'] : []), ...(rate === undefined ? [] : [rate])];
  const args = [load.port, load.sourcePort, WINDOW, load.prefix, sampleEvery, ...mode];
  return runProgram({ program, file, core: CORE }, load.datagrams, args);
}

/** One of bench/native; `file` is for what goes in, and with `.samples` behind it for the replies that it keeps. */
export interface NativeProgram {
  readonly program: string;
  readonly file: string;
  readonly core: string;
}

/** A run with these datagrams; some programs say more of it. */
export async function runProgram<More>(
  { program, file, core }: NativeProgram,
  datagrams: readonly Buffer[],
  args: readonly (string | number)[],
): Promise<LoadResult & More> {
  const samplesFile = `${file}.samples`;
  await writeFile(file, Buffer.concat(datagrams.flatMap((bytes) => [lengthOf(bytes), bytes])));
  const command = pinned(core, [program, file, samplesFile, ...args.map(String)]);
  const { stdout } = await promisify(execFile)(...command);
  const samples = cut(await readFile(samplesFile));
  return { ...(JSON.parse(stdout) as Omit<LoadResult, 'samples'> & More), samples };
}

/** The datagrams that stand one behind the other, each behind its length. */
function cut(bytes: Buffer): Buffer[] {
  const datagrams: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + LENGTH_BYTES + bytes.readUInt16LE(at);
    datagrams.push(bytes.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  return datagrams;
}

const LENGTH_BYTES = 2;

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16LE(bytes.length);
  return length;
}

async function runDgram(load: Load): Promise<LoadResult> {
  const { datagrams, port, sourcePort, prefix, sampleEvery = SAMPLE_EVERY } = load;
  if (load.ack === true || load.rate !== undefined)
    throw new Error('a C compiler is missing: on Debian or Ubuntu, sudo apt-get install gcc libc-dev');
  const socket = createSocket('udp4');
  socket.bind(sourcePort, '127.0.0.1');
  await once(socket, 'listening');
  socket.setRecvBufferSize(4 * 1024 * 1024);
  let [sent, received, good, lost, pending] = [0, 0, 0, 0, 0];
  const samples: Buffer[] = [];
  const start = performance.now();
  let last = start;
  await new Promise<void>((resolve) => {
    const send = (): void => {
      while (pending < WINDOW && sent < datagrams.length) {
        pending++;
        socket.send(datagrams[sent++] ?? '', port, '127.0.0.1');
      }
      if (pending === 0) {
        clearInterval(silence);
        resolve();
      }
    };
    const silence = setInterval(() => {
      if (performance.now() - last < SILENCE_MS) return;
      lost += pending;
      pending = 0;
      send();
    }, SILENCE_MS);
    socket.on('message', (bytes) => {
      last = performance.now();
      if (bytes.subarray(0, prefix.length).toString('latin1') === prefix) good++;
      if (received++ % sampleEvery === 0) samples.push(Buffer.from(bytes));
      pending = Math.max(0, pending - 1);
      send();
    });
    send();
  });
  socket.close();
  await once(socket, 'close');
  return { received, good, lost, seconds: (last - start) / 1000, samples };
}
