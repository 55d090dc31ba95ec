/** What every benchmark is given, and what it gives back. */
import type { Row } from './report.ts';

export interface Run {
  /** Runs that count, beside one that warms up. */
  readonly reps: number;
  /** Little of everything, to see that it works; the figures mean nothing. */
  readonly quick: boolean;
  /** A folder for temporary files, removed at the end. */
  readonly folder: string;
}

export interface Subject {
  /** For `--only`. */
  readonly name: string;
  measure(run: Run): Promise<Row[]>;
}
