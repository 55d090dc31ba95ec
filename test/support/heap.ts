/** What the heap holds after a collection. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const collect = ((): (() => void) => {
  setFlagsFromString('--expose_gc');
  return runInNewContext('gc') as () => void;
})();

/** Bytes. */
export function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}
