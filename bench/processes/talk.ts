/** The other side of bench/child.ts: a measured program answers questions, and ends when nobody can ask any more. */

interface Question {
  readonly id: number;
  readonly question: string;
  readonly args: object;
}

type Handlers = Readonly<Record<string, (args: never) => unknown>>;

/** Says that the program is ready, and answers from then on. */
export function answer(handlers: Handlers, close: () => Promise<void> = () => Promise.resolve()): void {
  const all: Handlers = { cpuMs, ...handlers };
  const reply = (message: object): void => {
    process.send?.(message);
  };
  process.on('message', ({ id, question, args }: Question) => {
    void Promise.resolve()
      .then(() => all[question]?.(args as never))
      .then(
        (value) => reply({ id, value }),
        (error: unknown) => reply({ id, error: error instanceof Error ? (error.stack ?? error.message) : 'failed' }),
      );
  });
  process.on('disconnect', () => {
    void close().finally(() => process.exit());
  });
  reply({ id: 0 });
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** A module of dist/, which is what runs in earnest; its types are those of the source. */
export async function built<Module>(path: string): Promise<Module> {
  return (await import(new URL(`../../dist/${path}`, import.meta.url).href)) as Module;
}

/** After full collections; the program runs with --expose-gc. */
export async function residentBytes(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage.rss();
}
