import type { LaneFields, StatusFacts, StatusFields, ToldFields } from '../../src/status/fields.js';

export const FACTS: StatusFacts = {
  version: '1.2.3',
  source: 'redis://old:6379',
  target: 'redis://new:6379',
  until: undefined,
  spoolMax: 20e9,
};

export const lane = (some: Partial<LaneFields> = {}): LaneFields => ({
  ...{ name: 'old:6379', connected: true, attached: true, applied: 1000, received: 1200, source: 1250, lagBytes: 250, lagSeconds: 0.02 },
  ...{ spool: { memory: 200, disk: 0 }, counts: { commands: 41_000, filtered: 3, ignored: 0, positions: 0, superseded: 0 }, fetched: 7 },
  opsPerSecond: 41_000,
  ...some,
});

/** Applying changes, in step. */
export const fields = (some: Partial<StatusFields> = {}): StatusFields => ({
  ...{ phase: 'changes', seconds: 100, opsPerSecond: 41_000, problems: 0, lanes: [lane()] },
  ...some,
});

/** Where the source tells which keys are written. */
export const TOLD: ToldFields = {
  ...{ pending: 1200, lagSeconds: 0.8, rounds: 9, fetched: 5000, written: 4900, gone: 100, watched: 3, scans: 1 },
};

/** The same, in its fields. */
export const byScan = (told: Partial<ToldFields> = {}, connected = true): StatusFields =>
  fields({
    lanes: [{ name: 'old:6379', connected, attached: true, lagSeconds: told.lagSeconds ?? TOLD.lagSeconds }],
    told: { ...TOLD, ...told },
  });

export const COPY = { keys: 7_600_000, bytesRead: 610e6, totalBytes: 1e9 };

/** Names that are markup, code, or turn the reading direction. */
export const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=https://example.com/x onerror=alert(1)>',
  '\u202egnp.exe',
  'a\nb\u001b[31m',
  'back\\slash "quoted" {label="x"} 1',
  '&lt;',
];
