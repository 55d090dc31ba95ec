/** Passwords: asked for without echo, or from stdin. Never an argument, which every user of the machine could read. */
import { createInterface } from 'node:readline';
import { CommandError, EXIT } from './failures.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES = ['\u007f', '\b'];
const STDIN_BYTES_MAX = 64 * 1024;

/** Asks at the terminal, or reads the first line of stdin. `twice`: asks again, for a new one. */
export async function askPassword(what: string, fromStdin: boolean, twice = false): Promise<string> {
  if (fromStdin) return firstLine();
  if (!process.stdin.isTTY) {
    throw new CommandError(EXIT.usage, 'there is no terminal to ask for the password: use --password-stdin');
  }
  const password = await askHidden(`${what}: `);
  if (twice && (await askHidden('Again: ')) !== password) throw new CommandError(EXIT.usage, 'the two differ');
  return password;
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  for await (const line of lines) {
    if (line.length > STDIN_BYTES_MAX) break;
    return line;
  }
  throw new CommandError(EXIT.usage, 'stdin holds no password');
}

function askHidden(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  return new Promise((resolve, reject) => {
    let typed = '';
    const end = (outcome: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      outcome();
    };
    const onData = (data: Buffer): void => {
      for (const character of data.toString('utf8')) {
        if (character === '\r' || character === '\n') {
          end(() => {
            resolve(typed);
          });
          return;
        }
        if (character === CTRL_C || character === CTRL_D) {
          end(() => {
            reject(new CommandError(EXIT.failed, 'given up'));
          });
          return;
        }
        if (BACKSPACES.includes(character)) typed = Array.from(typed).slice(0, -1).join('');
        else typed += character;
      }
    };
    stderr.write(prompt);
    stdin.setRawMode(true);
    stdin.resume();
    stdin.on('data', onData);
  });
}
