import { Counter, Gauge, Registry } from 'prom-client';
import { LEFT_OUT, type LaneFields, type StatusNow, type ToldFields } from './fields.js';

/** Of the text that `metricsText` makes. */
export const METRICS_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

const PHASES = ['connecting', 'full', 'changes', 'settling'] as const;

/** A value with its labels; undefined if it is not known. */
type Value = readonly [labels: Readonly<Record<string, string>>, value: number | undefined];

/** The status as Prometheus reads it. What is not known is left out. */
export function metricsText(now: StatusNow): Promise<string> {
  const { copy, lanes, phase, problems, source, sources = [source], spoolMax, startedAt, target, told, unwell, version } = now;
  const registry = new Registry();
  const add = (kind: typeof Gauge | typeof Counter, name: string, help: string, values: readonly Value[]): void => {
    const known = values.filter((entry): entry is readonly [Value[0], number] => entry[1] !== undefined);
    if (known.length === 0) return;
    const metric = new kind({ name, help, labelNames: Object.keys(known[0][0]), registers: [registry] });
    for (const [labels, value] of known) metric.inc(labels, value);
  };
  const gauge = (name: string, help: string, ...values: readonly Value[]): void => add(Gauge, name, help, values);
  const counter = (name: string, help: string, ...values: readonly Value[]): void => add(Counter, name, help, values);
  const labels = ({ from, name }: LaneFields): Value[0] => ({ ...(from === undefined ? {} : { source: from }), master: name });
  const each = (of: (lane: LaneFields) => number | undefined): Value[] => lanes.map((lane) => [labels(lane), of(lane)]);

  const toldOf = (of: (told: ToldFields) => number): Value[] => {
    if (now.bySource === undefined) return [[{}, told && of(told)]];
    return now.bySource.map((one) => [{ source: one.source }, one.told && of(one.told)]);
  };

  gauge('rdbkit_sync_info', 'Version, source and target.', ...sources.map((one): Value => [{ version, source: one, target }, 1]));
  const phases: readonly string[] = PHASES.some((known) => known === phase) ? PHASES : [...PHASES, phase];
  gauge('rdbkit_sync_phase', '1 for the phase that it is in.', ...phases.map((name): Value => [{ phase: name }, Number(name === phase)]));
  gauge('rdbkit_sync_healthy', '1 if /healthz answers with 200.', [{}, Number(unwell === undefined)]);
  gauge('rdbkit_sync_connected', '1 while the master of the source is connected.', ...each(({ connected }) => Number(connected)));
  gauge('rdbkit_sync_attached', '1 while its writes can be sent to the target.', ...each(({ attached }) => Number(attached)));
  gauge('rdbkit_sync_lag_seconds', 'How late the target is.', ...each(({ lagSeconds }) => lagSeconds));
  gauge('rdbkit_sync_lag_bytes', 'Bytes of writes that are not certain on the target.', ...each(({ lagBytes }) => lagBytes));
  gauge('rdbkit_sync_source_offset', 'Replication offset of the source.', ...each((lane) => lane.source));
  gauge('rdbkit_sync_received_offset', 'Replication offset up to which writes were received.', ...each(({ received }) => received));
  gauge('rdbkit_sync_applied_offset', 'Replication offset that is certain on the target.', ...each(({ applied }) => applied));
  gauge('rdbkit_sync_pending_keys', 'Keys that were told and are not yet fetched again.', ...toldOf(({ pending }) => pending));
  gauge('rdbkit_sync_watched_keys', 'Keys that are read again in every round.', ...toldOf(({ watched }) => watched));
  counter('rdbkit_sync_rounds_total', 'Rounds in which told keys were fetched.', ...toldOf(({ rounds }) => rounds));
  counter('rdbkit_sync_written_keys_total', 'Keys that were written after they were told.', ...toldOf(({ written }) => written));
  counter('rdbkit_sync_gone_keys_total', 'Keys that the source did not have any more.', ...toldOf(({ gone }) => gone));
  counter('rdbkit_sync_scans_total', 'How often all keys were read again.', ...toldOf(({ scans }) => scans));
  counter('rdbkit_sync_commands_total', 'Commands of the source.', ...each(({ counts }) => counts?.commands));
  counter(
    'rdbkit_sync_commands_left_out_total',
    'Commands of the source that were not applied, by reason.',
    ...lanes.flatMap((lane) => LEFT_OUT.map((reason): Value => [{ ...labels(lane), reason }, lane.counts?.[reason]])),
  );
  const isTold = told !== undefined || now.bySource?.some((one) => one.told !== undefined) === true;
  const byMaster = each((lane) => lane.fetched).filter(([, value]) => value !== undefined);
  const fetched: readonly Value[] = !isTold || byMaster.length > 0 ? byMaster : toldOf((one) => one.fetched);
  counter('rdbkit_sync_fetched_keys_total', 'Keys whose value was fetched from the source.', ...fetched);
  gauge(
    'rdbkit_sync_spool_bytes',
    'Bytes of writes that the spool holds.',
    ...lanes.flatMap((lane): Value[] => [
      [{ ...labels(lane), place: 'memory' }, lane.spool?.memory],
      [{ ...labels(lane), place: 'disk' }, lane.spool?.disk],
    ]),
  );
  gauge('rdbkit_sync_spool_limit_bytes', 'Size of the spool on disk at most.', [{}, spoolMax]);
  const copied = now.bySource?.map((one): Value => [{ source: one.source }, one.keys]);
  counter('rdbkit_sync_copied_keys_total', 'Keys of the full copy so far.', ...(copied ?? [[{}, copy?.keys]]));
  counter('rdbkit_sync_copy_read_bytes_total', 'Bytes of the full copy so far.', [{}, copy?.bytesRead]);
  gauge('rdbkit_sync_copy_bytes', 'Bytes of the full copy, once they are known.', [{}, copy?.totalBytes]);
  counter('rdbkit_sync_problem_keys_total', 'Keys that could not be brought over.', [{}, problems]);
  const { system, user } = process.cpuUsage();
  gauge('process_start_time_seconds', 'When it began, as Unix time.', [{}, startedAt / 1000]);
  gauge('process_resident_memory_bytes', 'Memory of the process.', [{}, process.memoryUsage.rss()]);
  counter('process_cpu_seconds_total', 'Time of the processor.', [{}, (user + system) / 1e6]);
  return registry.metrics();
}
