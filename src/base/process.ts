/** Other processes of this machine. Linux tells of them in /proc (proc(5)); elsewhere only their pid is known. */
import { readFileSync } from 'node:fs';

/** When the process started, in ticks since the machine did; null where there is no such process, or no /proc. */
export function startOfProcess(pid: number): string | null {
  return statOf(pid)?.start ?? null;
}

/**
 * Whether the process runs that had this pid and `start` when they were written down. After a reboot another one may
 * have the pid. A zombie (killed, and not yet collected by its parent) holds no port and no file, and does not count.
 */
export function isRunning(pid: number, start: string | null): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const stat = statOf(pid);
  if (stat === null) return true;
  return stat.state !== 'Z' && stat.state !== 'X' && (start === null || stat.start === start);
}

function statOf(pid: number): { readonly state: string; readonly start: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program stands in brackets, and may hold spaces and brackets itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, start] = [fields[STATE_AT], fields[START_AT]];
    return state === undefined || start === undefined ? null : { state, start };
  } catch {
    return null;
  }
}
/** Fields 3 and 22, counted from the third. */
const STATE_AT = 0;
const START_AT = 19;
