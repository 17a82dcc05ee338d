import { describe, expect, test } from 'vitest';
import { StatusBoard } from '../../src/status/board.js';
import { metricsText } from '../../src/status/metrics.js';
import { parseMetrics } from '../support/prometheus-text.js';
import { byScan, COPY, FACTS, fields, HOSTILE, lane } from '../support/status-facts.js';

const metricsOf = async (board: StatusBoard) => parseMetrics(await metricsText(board.now));

test('while changes are applied', async () => {
  const board = new StatusBoard(FACTS);
  board.take(fields({ phase: 'full', seconds: 1 }), COPY);
  board.take(fields({ problems: 3 }), COPY);
  const metrics = await metricsOf(board);
  const values = (name: string) =>
    Object.fromEntries(metrics.get(name)?.samples.map(({ labels, value }) => [JSON.stringify(labels), value]) ?? []);
  const of = '{"master":"old:6379"}';
  expect(values('rdbkit_sync_info')).toEqual({ '{"version":"1.2.3","source":"redis://old:6379","target":"redis://new:6379"}': 1 });
  expect(values('rdbkit_sync_phase')).toEqual({
    ...{ '{"phase":"connecting"}': 0, '{"phase":"full"}': 0, '{"phase":"changes"}': 1, '{"phase":"settling"}': 0 },
  });
  for (const [name, value] of [
    ...([
      ['healthy', 1],
      ['problem_keys_total', 3],
      ['spool_limit_bytes', 20e9],
      ['copied_keys_total', 7_600_000],
    ] as const),
    ...([
      ['copy_read_bytes_total', 610e6],
      ['copy_bytes', 1e9],
    ] as const),
  ]) {
    expect(values(`rdbkit_sync_${name}`)).toEqual({ '{}': value });
  }
  for (const [name, value] of [
    ...([
      ['connected', 1],
      ['attached', 1],
      ['lag_seconds', 0.02],
      ['lag_bytes', 250],
      ['source_offset', 1250],
    ] as const),
    ...([
      ['received_offset', 1200],
      ['applied_offset', 1000],
      ['commands_total', 41_000],
      ['fetched_keys_total', 7],
    ] as const),
  ]) {
    expect(values(`rdbkit_sync_${name}`)).toEqual({ [of]: value });
  }
  expect(values('rdbkit_sync_spool_bytes')).toEqual({
    ...{ '{"master":"old:6379","place":"memory"}': 200, '{"master":"old:6379","place":"disk"}': 0 },
  });
  expect(values('rdbkit_sync_commands_left_out_total')['{"master":"old:6379","reason":"filtered"}']).toBe(3);
  expect(values('process_resident_memory_bytes')['{}']).toBeGreaterThan(1e6);
  for (const [name, { help, type }] of metrics) {
    expect(type).toBe(name.endsWith('_total') ? 'counter' : 'gauge');
    expect(help).not.toBe('');
  }
});

describe('what is not known is left out', () => {
  test('before there is anything', async () => {
    const metrics = await metricsOf(new StatusBoard({ ...FACTS, spoolMax: undefined }));
    expect([...metrics.keys()].filter((name) => name.startsWith('rdbkit_'))).toEqual([
      ...['rdbkit_sync_info', 'rdbkit_sync_phase', 'rdbkit_sync_healthy', 'rdbkit_sync_problem_keys_total'],
    ]);
    expect(metrics.get('rdbkit_sync_healthy')?.samples).toEqual([{ labels: {}, value: 0 }]);
  });

  test('a way of reading that has keys instead of offsets, and a phase of its own', async () => {
    const board = new StatusBoard(FACTS);
    board.take({ ...byScan(), phase: 'watching' }, COPY);
    const metrics = await metricsOf(board);
    const told = [
      'pending_keys',
      'watched_keys',
      'rounds_total',
      'fetched_keys_total',
      'written_keys_total',
      'gone_keys_total',
      'scans_total',
    ];
    const values = told.map((name) => metrics.get(`rdbkit_sync_${name}`)?.samples);
    expect(values).toEqual([1200, 3, 9, 5000, 4900, 100, 1].map((value) => [{ labels: {}, value }]));
    expect(metrics.get('rdbkit_sync_lag_seconds')?.samples).toEqual([{ labels: { master: 'old:6379' }, value: 0.8 }]);
    expect(metrics.get('rdbkit_sync_phase')?.samples.at(-1)).toEqual({ labels: { phase: 'watching' }, value: 1 });
    expect([...metrics.keys()].filter((name) => /offset|spool_bytes|commands|lag_bytes/.test(name))).toEqual([]);
  });
});

test('labels may have anything in them', async () => {
  const board = new StatusBoard({ ...FACTS, source: HOSTILE[4], target: 'x\n# HELP fake 1\nfake 1' });
  board.take(fields({ lanes: HOSTILE.map((name, i) => lane({ name, lagSeconds: i })) }), COPY);
  const metrics = await metricsOf(board);
  expect(metrics.get('rdbkit_sync_lag_seconds')?.samples).toEqual(HOSTILE.map((master, i) => ({ labels: { master }, value: i })));
  expect(metrics.get('rdbkit_sync_info')?.samples[0].labels).toMatchObject({ source: HOSTILE[4], target: 'x\n# HELP fake 1\nfake 1' });
  expect(metrics.has('fake')).toBe(false);
});
