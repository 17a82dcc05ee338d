import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const SERVERS = 'test/servers/**/*.test.ts';
const PROCESSES = 'test/processes/**/*.test.ts';
/** Tests that drive Chromium. */
const BROWSER = 'test/browser/**/*.test.ts';
/** Tests that replace modules for themselves, by vi.mock. */
const MOCKS = ['test/io/full-disk.test.ts', 'test/sync/spool/full-disk.test.ts', 'test/redis/rate-limit.test.ts'];

/** Files that take longest, those of a project in that order: they begin first, so that nothing waits for one of them alone at the end. */
const SLOW = [
  'test/processes/zstd.test.ts',
  'test/processes/process.test.ts',
  'test/processes/threads.test.ts',
  'test/processes/docs.test.ts',
  'test/processes/inspect-threads.test.ts',
  'test/json/corpus.test.ts',
  'test/json/key-lines.test.ts',
  'test/library/decode.test.ts',
  'test/cli/report-text.test.ts',
  'test/dump/rdb-sink.test.ts',
  'test/dump/target.test.ts',
  'test/values/transcode-parts.test.ts',
  'test/rdb/types.test.ts',
  'test/servers/live-faults.test.ts',
  'test/servers/sync-cutover.test.ts',
  'test/servers/sync-several.test.ts',
  'test/servers/sync-exact.test.ts',
  'test/servers/sync-rounds.test.ts',
  'test/servers/sync-faults.test.ts',
  'test/servers/sync-faults-cluster.test.ts',
  'test/servers/sync-scan-large.test.ts',
  'test/servers/sync-scan-streams.test.ts',
  'test/servers/sync-rights.test.ts',
  'test/servers/sync-keep.test.ts',
  'test/servers/restore-kills.test.ts',
  'test/servers/restore-commands.test.ts',
  'test/servers/restore-faults-cluster.test.ts',
  'test/servers/restore-restarts.test.ts',
  'test/servers/diff.test.ts',
  'test/servers/live-scan.test.ts',
  'test/servers/live-replication.test.ts',
  'test/servers/restore-limits.test.ts',
  'test/servers/live-cli.test.ts',
  'test/servers/restore-rights.test.ts',
  'test/servers/docs.test.ts',
  'test/servers/preflight.test.ts',
  'test/servers/diff-repair.test.ts',
  'test/servers/sync-status.test.ts',
  'test/servers/live-interrupts.test.ts',
  'test/servers/sync-several-ways.test.ts',
  'test/servers/sync-copies.test.ts',
];
/** The projects in their order: the many short files of the last one fill what is left. */
const ORDER = ['browser', 'processes', 'mocks', 'servers', 'unit'];

/** Files of a project one after another, which share their workers; the slow ones first. */
class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const slow = (file: TestSpecification): number => {
      const at = SLOW.findIndex((name) => file.moduleId.endsWith(`/${name}`));
      return at < 0 ? SLOW.length : at;
    };
    const place = (file: TestSpecification): number => ORDER.indexOf(file.project.name);
    return (await super.sort(files)).sort((a, b) => place(a) - place(b) || slow(a) - slow(b));
  }
}

export default defineConfig({
  test: {
    // for a machine that does much else: what waits for something in a test waits up to 2 minutes
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
    setupFiles: ['test/support/runs.ts'],
    sequence: { sequencer: SlowFirst },
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
        test: { name: 'browser', include: [BROWSER], exclude: ['**/node_modules/**'], maxWorkers: '100%', sequence: { groupOrder: 0 } },
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
        // these wait for servers most of the time, so there are more of them than cores: vitest takes 200% for 100%
        test: {
          name: 'servers',
          include: [SERVERS],
          globalSetup: ['test/support/package.ts'],
          setupFiles: ['test/support/needs-server.ts'],
          isolate: false,
          maxWorkers: 2 * availableParallelism(),
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
