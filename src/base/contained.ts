/** One message that finds a mistake of ours must not end the node for everybody else. */
import type { Log } from './ports.ts';

/** The same handler, but what it throws goes to the log. */
export function contained<A, B>(log: Log, what: string, handle: (a: A, b: B) => void): (a: A, b: B) => void {
  return (a, b) => {
    try {
      handle(a, b);
    } catch (error) {
      log.error({ err: error }, `${what} could not be dealt with`);
    }
  };
}
