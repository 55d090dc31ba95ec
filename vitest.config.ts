import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** What is waited for comes on a busy machine too; tests that poll say what else they promise. */
const PATIENCE = { poll: { timeout: 20_000 } };

const project = (name: string, include: string[], more: object = {}) => ({
  test: { name, include, environment: 'node' as const, expect: PATIENCE, ...more },
});

export default defineConfig({
  test: {
    // Most of what takes long waits for others: with one worker two cores would mostly idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      project('unit', ['test/{unit,conformance,fuzz,simulation}/**/*.test.ts'], { testTimeout: 60_000 }),
      project('servers', ['test/{servers,e2e}/**/*.test.ts'], { testTimeout: 120_000, hookTimeout: 120_000 }),
    ],
  },
});
