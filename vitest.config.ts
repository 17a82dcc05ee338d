import { defineConfig } from 'vitest/config';

const SERVERS = 'test/servers/**/*.test.ts';

export default defineConfig({
  test: {
    testTimeout: 120_000,
    setupFiles: ['test/support/runs.ts'],
    projects: [
      {
        extends: true,
        // vitest leaves a core free by default, and two are all there are on small machines
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [SERVERS, '**/node_modules/**'], maxWorkers: '100%', sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        // these wait for servers most of the time
        test: { name: 'servers', include: [SERVERS], setupFiles: ['test/support/needs-server.ts'], maxWorkers: '200%', sequence: { groupOrder: 1 } },
      },
    ],
  },
});
