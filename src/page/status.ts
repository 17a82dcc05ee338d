import type { History, LaneNow, NamedProblem, Sample, StatusNow } from '../status/fields.js';
import { LiveChart } from './live-chart.js';
import { add, copyButton, el, fileText, number, panel, say, section, type Child } from './dom.js';
import { bytes, count, percent, plural, seconds, short, visible } from './format.js';
import { adviceOf, lagOf, late, partCopied, stateOf, verdictOf, type Verdict } from './status-words.js';
import { Table, type Column } from './table.js';
import { themeSwitch } from './theme.js';

/** Milliseconds between two questions, and until one is given up. */
const EVERY = 1000;
const PATIENCE = 5000;
/** Milliseconds that are shown; a longer gap between two samples is filled from the server's own. */
const WINDOW = 15 * 60_000;
const GAP = 3 * EVERY;

const MINUTE = 60_000;

/** `14:02:05`, in the time of the browser. */
const clock = (at: number): string => new Date(at).toLocaleTimeString('en-GB');

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), cache: 'no-store' });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return (await response.json()) as T;
}

const masterColumns: readonly Column<LaneRow>[] = [
  { id: 'master', title: 'Master', value: ({ lane }) => lane.name, cell: ({ lane }) => fileText(lane.name) },
  {
    id: 'state',
    title: 'State',
    value: ({ lane, phase }) => stateOf(lane, phase).text,
    cell: ({ lane, phase }) => {
      const { text, tone } = stateOf(lane, phase);
      return el('span', { class: tone === 'good' ? 'is-good' : tone === 'bad' ? 'is-bad' : '' }, text);
    },
  },
  { id: 'late', title: 'Late', isNumber: true, value: ({ lane }) => lane.lagSeconds, cell: ({ lane }) => late(lane.lagSeconds) },
  {
    ...{ id: 'behind', title: 'Not applied', isNumber: true },
    value: ({ lane }) => lane.lagBytes,
    cell: ({ lane: { lagBytes } }) => (lagBytes === undefined ? '–' : bytes(lagBytes)),
  },
  { id: 'rate', title: 'Writes/s', isNumber: true, value: ({ lane }) => lane.opsPerSecond },
  { id: 'commands', title: 'Commands', isNumber: true, isExtra: true, value: ({ lane }) => lane.counts?.commands },
  { id: 'fetched', title: 'Keys fetched', isNumber: true, isExtra: true, value: ({ lane }) => lane.fetched },
  {
    ...{ id: 'spool', title: 'Spool', isNumber: true },
    value: ({ lane }) => lane.spool?.disk,
    cell: ({ lane: { spool } }) => (spool === undefined ? '–' : bytes(spool.disk)),
  },
  { id: 'applied', title: 'Applied offset', isNumber: true, isExtra: true, value: ({ lane }) => lane.applied },
  { id: 'source', title: 'Source offset', isNumber: true, isExtra: true, value: ({ lane }) => lane.source },
];

interface LaneRow {
  readonly lane: LaneNow;
  readonly phase: string;
}

/** What waits: in bytes of the stream of writes, or in keys where there is none. */
const notApplied = (now: StatusNow): string => (now.told === undefined ? bytes(lagOf(now).bytes) : plural(now.told.pending, 'key'));

const problemColumns: readonly Column<NamedProblem>[] = [
  { id: 'at', title: 'When', value: ({ at }) => at, cell: ({ at }) => clock(at) },
  { id: 'db', title: 'DB', isNumber: true, isExtra: true, value: ({ db }) => db },
  {
    id: 'key',
    title: 'Key',
    value: ({ key }) => key,
    cell: ({ key }) =>
      key === undefined ? '–' : el('div', { class: 'name-cell' }, fileText(key, { title: visible(key) }), copyButton(key, 'the key')),
  },
  { id: 'reason', title: 'Reason', value: ({ reason }) => reason },
];

interface MinuteRow {
  readonly at: number;
  readonly lagSeconds: number;
  readonly lagBytes: number;
  readonly ops: number | undefined;
  readonly keys: number | undefined;
}

const minuteColumns: readonly Column<MinuteRow>[] = [
  { id: 'at', title: 'Minute', value: ({ at }) => at, cell: ({ at }) => clock(at).slice(0, 5) },
  { id: 'lag', title: 'Late, at most', isNumber: true, value: (row) => row.lagSeconds, cell: (row) => late(row.lagSeconds) },
  { id: 'bytes', title: 'Not applied, at most', isNumber: true, value: (row) => row.lagBytes, cell: (row) => bytes(row.lagBytes) },
  { id: 'ops', title: 'Writes/s, mean', isNumber: true, value: ({ ops }) => ops },
  { id: 'keys', title: 'Keys copied/s, mean', isNumber: true, value: ({ keys }) => keys },
];

/** The samples by minute: for those who cannot see the charts. */
function minutes(samples: readonly Sample[]): MinuteRow[] {
  const byMinute = new Map<number, Sample[]>();
  for (const sample of samples) {
    const at = Math.floor(sample.at / MINUTE) * MINUTE;
    const of = byMinute.get(at);
    if (of === undefined) byMinute.set(at, [sample]);
    else of.push(sample);
  }
  return [...byMinute].map(([at, of]) => ({
    at,
    lagSeconds: Math.max(...of.map(({ lagSeconds }) => lagSeconds)),
    lagBytes: Math.max(...of.map(({ lagBytes }) => lagBytes)),
    ops: mean(of.map(({ opsPerSecond }) => opsPerSecond)),
    keys: mean(of.map(({ keysPerSecond }) => keysPerSecond)),
  }));
}

function mean(values: readonly (number | null | undefined)[]): number | undefined {
  const known = values.filter((value) => typeof value === 'number');
  return known.length === 0 ? undefined : Math.round(known.reduce((a, b) => a + b, 0) / known.length);
}

/** The page: what stays, and what each answer changes. */
class StatusPage {
  private samples: Sample[] = [];
  private startedAt = 0;
  private last: StatusNow | undefined;
  /** Since when there is no answer. */
  private goneAt: number | undefined;
  private kind = '';
  private shownProblems = '';
  private readonly names = el('span', { class: 'source' });
  private readonly verdict = el('div', { class: 'verdict' });
  private readonly next = el('ul', { class: 'next' });
  private readonly lag = new LiveChart([{ name: 'late', tint: 'line-1' }], late, clock, 'How late the target is, over time', 0.1);
  private readonly behind = new LiveChart(
    [{ name: 'not applied', tint: 'line-4' }],
    ...([bytes, clock, 'Bytes of writes not yet applied, over time'] as const),
  );
  private readonly rate = new LiveChart(
    [
      { name: 'writes applied', tint: 'line-3' },
      { name: 'keys copied', tint: 'line-2' },
    ],
    (value) => `${short(value)}/s`,
    clock,
    'Writes applied and keys copied a second, over time',
  );
  private readonly notes = { lag: el('p', { class: 'note' }), behind: el('p', { class: 'note' }), rate: el('p', { class: 'note' }) };
  private readonly byMinute = new Table(minuteColumns, [], { name: 'By minute', sort: 'at' });
  private readonly masters = new Table(masterColumns, [], { name: 'Masters of the source', shown: 1000 });
  private readonly problems = new Table(problemColumns, [], { name: 'Keys not brought over' });
  private readonly problemsPanel = el('div', { class: 'panel', hidden: true }, this.problems.element);
  private readonly problemsFinding = el('p', { class: 'finding' });

  constructor(place: Element) {
    const chart = (title: string, note: HTMLElement, { element }: LiveChart): HTMLElement => panel(title, undefined, note, element);
    const numbers = el('details', { class: 'chart-table' }, el('summary', {}, 'Numbers by minute'), this.byMinute.element);
    place.append(
      el('header', {}, el('div', { class: 'bar-inner' }, el('span', { class: 'brand' }, 'rdbkit sync'), this.names, themeSwitch())),
      el(
        'main',
        {},
        this.verdict,
        section(
          'charts',
          'The last 15 minutes',
          undefined,
          el(
            'div',
            { class: 'columns three' },
            chart('Lag', this.notes.lag, this.lag),
            chart('Throughput', this.notes.rate, this.rate),
            chart('Writes not applied', this.notes.behind, this.behind),
          ),
          numbers,
        ),
        section('next', 'What to do next', undefined, this.next),
        section('masters', 'Masters of the source', undefined, el('div', { class: 'panel' }, this.masters.element)),
        section('problems', 'Keys not brought over', undefined, this.problemsFinding, this.problemsPanel),
      ),
    );
  }

  /** Asks once a second, for as long as the page is open. */
  async run(): Promise<never> {
    for (;;) {
      const begun = performance.now();
      await this.look();
      await new Promise((resolve) => setTimeout(resolve, Math.max(100, EVERY - (performance.now() - begun))));
    }
  }

  private async look(): Promise<void> {
    try {
      const now = await ask<StatusNow>('/status');
      const last = this.samples.at(-1)?.at ?? 0;
      if (now.startedAt !== this.startedAt || now.at - last > GAP) {
        const { samples, startedAt } = await ask<History>('/history');
        [this.samples, this.startedAt] = [[...samples], startedAt];
      } else if (now.at > last) this.samples.push(sampleOf(now));
      while (this.samples.length > 0 && this.samples[0].at < now.at - WINDOW) this.samples.shift();
      this.last = now;
      this.goneAt = undefined;
    } catch {
      this.goneAt ??= Date.now();
    }
    this.draw();
  }

  private draw(): void {
    const { goneAt, last, samples } = this;
    const verdict = goneAt === undefined ? last && verdictOf(last, samples) : goneVerdict(goneAt);
    document.documentElement.classList.toggle('ended', goneAt !== undefined);
    if (verdict === undefined) return;
    document.title = `${verdict.brief} – rdbkit sync`;
    if (verdict.kind !== this.kind) say(verdict.text);
    this.kind = verdict.kind;
    this.drawVerdict(verdict);
    if (last === undefined) return;
    this.names.replaceChildren(
      ...[fileText(last.source), el('span', { 'aria-label': 'to' }, '→'), fileText(last.target)],
      el('span', { class: 'soft' }, `rdbkit ${visible(last.version)}; ${clock(last.at)}`),
    );
    this.drawAdvice(goneAt === undefined ? last : undefined);
    this.drawCharts();
    this.drawMasters(last);
    this.drawProblems(last);
  }

  private drawVerdict({ text, tone }: Verdict): void {
    const { last } = this;
    const done = last?.phase === 'full' ? partCopied(last) : undefined;
    this.verdict.className = `verdict ${tone}`;
    this.verdict.replaceChildren(el('h1', {}, text));
    if (done !== undefined) {
      const bar = el('span', { style: { width: `${(done * 100).toFixed(2)}%` } });
      const range = { 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(done * 100) };
      this.verdict.append(el('div', { class: 'meter', role: 'progressbar', 'aria-label': 'Full copy', ...range }, bar));
    }
    if (last !== undefined) this.verdict.append(numbersOf(last));
  }

  private drawAdvice(now: StatusNow | undefined): void {
    const advice = now === undefined ? [GONE] : adviceOf(now, this.samples);
    this.next.replaceChildren(...(advice.length === 0 ? [NOTHING] : advice).map(({ text, tone }) => el('li', { class: tone }, text)));
  }

  private drawCharts(): void {
    const { samples } = this;
    const times = samples.map(({ at }) => at);
    this.lag.show(times, [samples.map(({ lagSeconds }) => lagSeconds)]);
    this.behind.show(times, [samples.map(({ lagBytes }) => lagBytes)]);
    const writes = samples.map(({ opsPerSecond }) => opsPerSecond ?? null);
    this.rate.show(times, [writes, samples.map(({ keysPerSecond }) => keysPerSecond ?? null)]);
    const most = (of: (sample: Sample) => number | undefined): number => Math.max(0, ...samples.map((sample) => of(sample) ?? 0));
    const { lag, behind, rate } = this.notes;
    lag.textContent = `${late(samples.at(-1)?.lagSeconds ?? 0)} now, ${late(most(({ lagSeconds }) => lagSeconds))} at most.`;
    behind.textContent =
      this.last?.told === undefined
        ? `${bytes(samples.at(-1)?.lagBytes ?? 0)} now, ${bytes(most(({ lagBytes }) => lagBytes))} at most.`
        : 'Not known in bytes: the source tells only names of keys.';
    const keys = most(({ keysPerSecond }) => keysPerSecond);
    const copied = keys === 0 ? '' : `, ${short(keys)} keys copied`;
    rate.textContent = `At most ${short(most(({ opsPerSecond }) => opsPerSecond))} writes applied${copied} a second.`;
    this.byMinute.show(minutes(samples));
  }

  private drawMasters({ lanes, phase }: StatusNow): void {
    const selection = getSelection();
    // text that is being selected stays
    if (selection?.isCollapsed === false && this.masters.element.contains(selection.anchorNode)) return;
    this.masters.show(lanes.map((lane) => ({ lane, phase })));
  }

  private drawProblems({ lastProblems, problems }: StatusNow): void {
    const shown = JSON.stringify([problems, lastProblems]);
    if (shown === this.shownProblems) return;
    this.shownProblems = shown;
    this.problemsFinding.textContent =
      problems === 0
        ? 'None so far.'
        : problems > lastProblems.length
          ? `${plural(problems, 'key')}; the last ${count(lastProblems.length)} are here, all of them on standard error.`
          : plural(problems, 'key');
    this.problemsPanel.hidden = lastProblems.length === 0;
    this.problems.show(lastProblems);
  }
}

const sampleOf = (now: StatusNow): Sample => {
  const lag = lagOf(now);
  const isFull = now.phase === 'full';
  return {
    ...{ at: now.at, lagSeconds: lag.seconds, lagBytes: lag.bytes },
    opsPerSecond: isFull ? undefined : now.opsPerSecond,
    keysPerSecond: isFull ? now.keysPerSecond : undefined,
  };
};

function goneVerdict(at: number): Verdict {
  const text = `rdbkit has ended or cannot be reached since ${clock(at)}. What is below was so before.`;
  return { tone: 'bad', kind: 'gone', text, brief: 'No answer' };
}

const GONE = {
  tone: 'warn',
  text: 'See the last lines of rdbkit, which say how it ended. The same command goes on where it was; this page then goes on as well.',
} as const;
const NOTHING = { tone: 'info', text: 'Nothing: it goes on by itself.' } as const;

/** The five numbers. */
function numbersOf(now: StatusNow): HTMLElement {
  const { copy, keysPerSecond, lanes, opsPerSecond, phase, problems, seconds: passed, told } = now;
  const lag = lagOf(now);
  const sum = (of: (lane: LaneNow) => number | undefined): number => lanes.reduce((all, lane) => all + (of(lane) ?? 0), 0);
  const spool = sum((lane) => lane.spool?.disk);
  const kept = told !== undefined ? 'told, and not fetched yet' : spool === 0 ? 'nothing on disk' : `the spool has ${bytes(spool)} on disk`;
  const done = partCopied(now);
  const isFull = phase === 'full';
  const rate = isFull ? keysPerSecond : opsPerSecond;
  const dl = el('dl', { class: 'numbers' });
  const fetched = told?.fetched ?? sum((lane) => lane.fetched);
  add(
    dl,
    isFull
      ? number(
          'Copied',
          done === undefined ? bytes(copy?.bytesRead ?? 0) : percent(done),
          done === undefined ? 'size not known' : `${bytes(copy?.bytesRead ?? 0)} of ${bytes(copy?.totalBytes ?? 0)}`,
        )
      : number('Late', late(lag.seconds), lanes.length > 1 ? latestOf(lanes) : `running for ${seconds(passed)}`),
    number(
      isFull ? 'Keys a second' : 'Writes a second',
      rate === undefined ? '–' : count(rate),
      isFull ? `running for ${seconds(passed)}` : `${short(told?.written ?? sum(({ counts }) => counts?.commands))} applied so far`,
    ),
    number(isFull ? 'Writes waiting' : 'Not applied', notApplied(now), kept),
    number('Keys copied', copy === undefined ? '–' : short(copy.keys), copiedNote(copy === undefined, fetched)),
    number('Not brought over', count(problems), problems === 0 ? 'no key so far' : el('a', { href: '#problems' }, 'which keys')),
  );
  return dl;
}

const copiedNote = (isResumed: boolean, fetched: number): Child =>
  fetched > 0 ? `${plural(fetched, 'key')} fetched since` : isResumed ? 'by an earlier run' : 'in the full copy';

function latestOf(lanes: readonly LaneNow[]): Child {
  const worst = lanes.reduce((a, b) => (b.lagSeconds > a.lagSeconds ? b : a));
  return fileText(worst.name, { class: 'file-text clipped' });
}

const place = document.getElementById('page');
if (place !== null) void new StatusPage(place).run();
