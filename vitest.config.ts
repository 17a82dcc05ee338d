import { defineConfig } from 'vitest/config';

const SERVERS = 'test/servers/**/*.test.ts';
const PROCESSES = 'test/processes/**/*.test.ts';
/** Tests that drive Chromium. */
const BROWSER = 'test/browser/**/*.test.ts';
/** Tests that replace modules for themselves, by vi.mock. */
const MOCKS = ['test/io/full-disk.test.ts', 'test/sync/spool/full-disk.test.ts', 'test/redis/rate-limit.test.ts'];

export default defineConfig({
  test: {
    testTimeout: 120_000,
    setupFiles: ['test/support/runs.ts'],
    projects: [
      {
        extends: true,
        // one load of all modules for each worker; vitest leaves a core free by default, and two are all there are on small machines
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [SERVERS, PROCESSES, BROWSER, ...MOCKS, '**/node_modules/**'],
          isolate: false,
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'mocks', include: MOCKS, maxWorkers: '100%', sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: { name: 'browser', include: [BROWSER], exclude: ['**/node_modules/**'], maxWorkers: '200%', sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: [PROCESSES],
          globalSetup: ['test/support/package.ts'],
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // these wait for servers most of the time
        test: {
          name: 'servers',
          include: [SERVERS],
          globalSetup: ['test/support/package.ts'],
          setupFiles: ['test/support/needs-server.ts'],
          maxWorkers: '200%',
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
