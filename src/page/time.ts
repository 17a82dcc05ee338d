import type { Bucket } from '../inspect/report.js';
import type { PageData } from '../inspect/trim.js';
import { barChart, lineChart, type Bar, type Line } from './charts.js';
import { choice, el, panel, section, type Child } from './dom.js';
import { bytes, change, count, date, millis, part, percent, plural, seconds, short, signed } from './format.js';
import { leftOut } from './left-out.js';
import { Table } from './table.js';

interface Row {
  /** Under its bar. */
  readonly mark: string;
  readonly label: string;
  readonly keys: number;
  readonly memory: number;
  readonly tint: string;
}

type Measure = 'memory' | 'keys';

/** Bars that can show memory or keys, and their numbers. */
function buckets(name: string, rows: readonly Row[]): readonly Child[] {
  const host = el('div');
  const draw = (measure: Measure): void => {
    const format = measure === 'memory' ? bytes : short;
    const bars: Bar[] = rows.map((row) => ({
      label: row.mark,
      value: row[measure],
      tint: row.tint,
      tip: [el('b', {}, row.label), `${bytes(row.memory)}, ${plural(row.keys, 'key')}`],
    }));
    host.replaceChildren(barChart(bars, format, `${name}, ${measure}`));
  };
  draw('memory');
  const table = new Table<Row>(
    [
      { id: 'when', title: 'When', value: ({ label }) => label },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys },
      { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
    ],
    rows,
    { name },
  );
  return [
    choice<Measure>(
      'Bars',
      [
        ['memory', 'Memory'],
        ['keys', 'Keys'],
      ],
      'memory',
      draw,
    ),
    host,
    el('details', { class: 'chart-table' }, el('summary', {}, 'Numbers'), table.element),
  ];
}

function rowsOf(list: readonly Bucket[], format: (upTo: number) => string, tint = 'accent-soft'): Row[] {
  return list.map(({ upTo, keys, memory }, i) => {
    const before = i === 0 ? undefined : (list[i - 1].upTo ?? undefined);
    const label = upTo !== null ? `≤ ${format(upTo)}` : before === undefined ? 'any' : `> ${format(before)}`;
    return { mark: upTo !== null ? format(upTo) : label, label, keys, memory, tint };
  });
}

/** When memory is freed, how long keys were idle, and how the file grew. */
export function timeSection({ report, cut }: PageData): HTMLElement {
  const { expiry, idle, frequency, history } = report;
  const all = report.memory.keys;
  const never = { mark: 'never', label: 'never', keys: expiry.none.keys, memory: expiry.none.memory, tint: 'never' };
  const expired = { mark: 'expired', label: 'expired', keys: expiry.expired.keys, memory: expiry.expired.memory, tint: 'bad-soft' };
  const left = rowsOf(expiry.left, millis);
  const day = expiry.left.filter(({ upTo }) => upTo !== null && upTo <= 86_400_000).reduce((sum, { memory }) => sum + memory, 0);
  const finding =
    all > 0 ? `${bytes(day)} are freed within 24 h; ${bytes(never.memory)} (${percent(part(never.memory, all))}) never expire.` : '';
  const idleLong = idle?.filter((_, i) => i > 0 && (idle[i - 1].upTo ?? 0) >= 86_400).reduce((sum, { memory }) => sum + memory, 0) ?? 0;
  return section(
    'time',
    'Time',
    finding,
    el(
      'div',
      { class: 'columns' },
      panel(
        'Memory freed by expiry',
        `Time left from ${date(report.at)}; each bar up to its limit, from that of the one before.`,
        ...buckets('Memory freed by expiry', [...(expired.keys > 0 ? [expired] : []), ...left, never]),
      ),
      idle !== undefined &&
        panel(
          'Time since last access',
          `${bytes(idleLong)} were not used for a day or more, as the file says.`,
          ...buckets('Time since last access', rowsOf(idle, seconds)),
        ),
      frequency !== undefined &&
        panel(
          'How often keys are used',
          'The LFU counter, 0 to 255: it grows with the logarithm of accesses and falls with time.',
          ...buckets('LFU counter', rowsOf(frequency, String)),
        ),
    ),
    history !== undefined && history.length > 1 ? historyPanel(history) : undefined,
    leftOut(cut, 'history', 'earlier run'),
  );
}

const LINES = ['line-1', 'line-2', 'line-3', 'line-4', 'line-5', 'line-6'];

function historyPanel(history: NonNullable<PageData['report']['history']>): HTMLElement {
  const saved = history.map(({ at, savedAt }) => savedAt ?? at);
  const isGrowing = saved.every((time, i) => i === 0 || time > saved[i - 1]);
  const times = isGrowing ? saved : history.map(({ at }) => at); // one file, looked at several times
  const [first, last] = [history[0], history[history.length - 1]];
  const names = Object.entries(last.prefixes)
    .sort(([, a], [, b]) => b - a)
    .slice(0, LINES.length);
  const lines: Line[] = names.map(([name], i) => ({
    name,
    tint: LINES[i],
    values: history.map(({ prefixes }) => (prefixes as Readonly<Record<string, number | undefined>>)[name] ?? null),
  }));
  const span = millis(Math.max(0, times[times.length - 1] - times[0]));
  const one = (values: readonly number[]): Line[] => [{ name: '', tint: 'accent', values }];
  const table = new Table(
    [
      { id: 'at', title: 'When', value: ({ at, savedAt }) => savedAt ?? at, cell: ({ at, savedAt }) => date(savedAt ?? at) },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys },
      { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
      { id: 'bytes', title: 'In the file', isNumber: true, value: (entry) => entry.bytes, cell: (entry) => bytes(entry.bytes) },
      { id: 'expiry', title: 'With TTL', isNumber: true, value: ({ withExpiry }) => withExpiry },
    ],
    history,
    { name: 'History', sort: 'at' },
  );
  return panel(
    'History',
    `Memory ${change(first.memory, last.memory)} (${signed(last.memory - first.memory, bytes)}) and ` +
      `keys ${change(first.keys, last.keys)} (${signed(last.keys - first.keys, count)}) over ${span}, in ${plural(history.length, 'run')}.`,
    el(
      'div',
      { class: 'columns three' },
      el('div', {}, el('h4', {}, 'Memory'), lineChart(times, one(history.map(({ memory }) => memory)), bytes, 'Memory over time')),
      el('div', {}, el('h4', {}, 'Keys'), lineChart(times, one(history.map(({ keys }) => keys)), short, 'Keys over time')),
      lines.length > 0 &&
        el(
          'div',
          {},
          el('h4', {}, 'Memory of the largest prefixes'),
          lineChart(times, lines, bytes, 'Memory of the largest prefixes over time'),
        ),
    ),
    el('details', { class: 'chart-table' }, el('summary', {}, 'Numbers'), table.element),
  );
}
