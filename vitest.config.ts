import { defineConfig } from 'vitest/config';

const project = (name: string, include: string[], more: object = {}) => ({
  test: { name, include, environment: 'node' as const, ...more },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', ['test/{unit,conformance,fuzz}/**/*.test.ts'], { testTimeout: 30_000 }),
      project('servers', ['test/{servers,e2e}/**/*.test.ts'], { testTimeout: 60_000, hookTimeout: 60_000 }),
    ],
  },
});
