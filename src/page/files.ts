import type { PageData } from '../inspect/trim.js';
import { el, fileText, panel, section, type Child } from './dom.js';
import { bytes, count, date, part, percent, plural, short, visible } from './format.js';
import { leftOut } from './left-out.js';
import { Table } from './table.js';
import { keyError } from './verdict.js';

const CHECKSUMS = { ok: 'ok', none: 'none in the file', unread: 'end not reached' } as const;

/** Where the numbers come from. */
export function filesSection({ report, cut }: PageData): HTMLElement {
  const { sources, databases, functions } = report;
  const table = new Table(
    [
      { id: 'file', title: 'File', value: ({ name }) => name, cell: ({ name }) => fileText(name, { title: visible(name) }) },
      {
        id: 'server',
        title: 'Written by',
        value: ({ vendor, server }) => `${vendor === 'valkey' ? 'Valkey' : 'Redis'}${server === undefined ? '' : ` ${server}`}`,
      },
      {
        id: 'saved',
        title: 'Saved',
        value: ({ savedAt }) => savedAt,
        cell: ({ savedAt }) => (savedAt === undefined ? '–' : date(savedAt)),
      },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
      { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
      {
        id: 'used',
        title: 'Server said',
        hint: 'used-mem, as the server wrote it',
        isNumber: true,
        isExtra: true,
        value: ({ usedMemory }) => usedMemory,
        cell: ({ usedMemory }) => (usedMemory === undefined ? '–' : bytes(usedMemory)),
      },
      {
        id: 'size',
        title: 'Size',
        hint: 'Bytes of the file',
        isNumber: true,
        value: ({ size }) => size,
        cell: ({ size }) => (size === undefined ? '–' : bytes(size)),
      },
      { id: 'rdb', title: 'RDB', isNumber: true, isExtra: true, value: ({ rdbVersion }) => rdbVersion },
      {
        id: 'checksum',
        title: 'Checksum',
        value: ({ checksum }) => CHECKSUMS[checksum],
        cell: ({ checksum }) =>
          el('span', { class: checksum === 'ok' ? 'is-good' : checksum === 'unread' ? 'is-bad' : '' }, CHECKSUMS[checksum]),
      },
      {
        id: 'whole',
        title: 'Read',
        value: ({ complete }) => (complete ? 'whole' : 'in part'),
        cell: ({ complete }) => el('span', { class: complete ? 'is-good' : 'is-bad' }, complete ? 'whole' : 'in part'),
      },
    ],
    sources,
    { name: 'Files', empty: 'No files' },
  );
  const troubles = sources.flatMap(({ name, error, warnings }) => [
    ...(error === undefined ? [] : [{ name, text: error, isBad: true }]),
    ...warnings.map((text) => ({ name, text, isBad: false })),
  ]);
  const databaseTable = new Table(
    [
      { id: 'db', title: 'DB', isNumber: true, value: ({ db }) => db ?? undefined, cell: ({ db }) => (db === null ? 'others' : count(db)) },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
      { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
      {
        id: 'ttl',
        title: 'TTL',
        isNumber: true,
        value: (group) => part(group.withExpiry, group.keys),
        cell: (group) => percent(part(group.withExpiry, group.keys)),
      },
      { id: 'expired', title: 'Expired', isNumber: true, value: ({ expired }) => expired },
    ],
    databases,
    { name: 'Databases', empty: 'No keys', shown: 16 },
  );
  const functionTable =
    functions.length === 0
      ? undefined
      : new Table(
          [
            { id: 'name', title: 'Library', value: ({ name }) => name, cell: ({ name }) => fileText(name) },
            { id: 'source', title: 'File', value: ({ source }) => source, cell: ({ source }) => fileText(source) },
            { id: 'bytes', title: 'Size', isNumber: true, value: (library) => library.bytes, cell: (library) => bytes(library.bytes) },
          ],
          functions,
          { name: 'Functions' },
        );
  const broken = sources.filter(({ complete }) => !complete).length;
  const which = sources.length === 1 ? 'The file' : `${count(broken || sources.length)} of ${plural(sources.length, 'file')}`;
  const verb = sources.length === 1 || broken === 1 ? 'was' : 'were';
  const finding = `${which} ${verb} ${broken > 0 ? 'not read to the end: nothing after the damage is counted' : 'read to the end'}.`;
  return section(
    'files',
    'Files',
    finding,
    el('div', { class: 'panel' }, table.element, leftOut(cut, 'sources', 'file')),
    troubles.length > 0 &&
      el(
        'ul',
        { class: 'warnings panel' },
        ...troubles
          .slice(0, 200)
          .map(({ name, text, isBad }) =>
            el(
              'li',
              { class: isBad ? 'bad' : '' },
              el('span', { class: 'tag' }, isBad ? 'Error' : 'Warning'),
              fileText(`${name}: ${text}`),
            ),
          ),
      ),
    leftOut(cut, 'sources.warnings', 'warning'),
    el(
      'div',
      { class: 'columns' },
      el(
        'div',
        { class: 'left' },
        panel('Databases', undefined, databaseTable.element, leftOut(cut, 'databases', 'database')),
        functionTable && panel('Functions', undefined, functionTable.element, leftOut(cut, 'functions', 'library', 'libraries')),
      ),
      panel(
        'How it was reckoned',
        undefined,
        el('ul', { class: 'about', id: 'about' }, ...reckoned({ report, cut }).map((line) => el('li', {}, line))),
      ),
    ),
  );
}

function reckoned({ report, cut }: PageData): Child[] {
  const { memory, prefixes, sample } = report;
  const functions = memory.functions > 0 ? `, and for functions, ${bytes(memory.functions)}` : '';
  const lines: Child[] = [
    `Memory is an estimate: what ${visible(memory.server)} would use for the keys, ${bytes(memory.keys)}, for its tables, ` +
      `${bytes(memory.tables)}${functions}: ${bytes(memory.dataset)} in all.`,
  ];
  if (memory.used !== undefined && memory.used > 0) {
    lines.push(
      `When they wrote the files, the servers said ${bytes(memory.used)}, with buffers and all else: ` +
        `the estimate is ${percent(memory.dataset / memory.used)} of that.`,
    );
  }
  if (memory.guessed > 0) lines.push(`The memory of ${plural(memory.guessed, 'key')} is a guess: values of modules.`);
  if (sample !== undefined) {
    lines.push(
      `A sample was looked at: ${percent(sample.share)} of all keys, ${count(sample.keys)}, chosen by their hash. All amounts are scaled ` +
        `up. The number of keys is right within ±${percent(keyError(report))} (95 of 100 times); memory is less sure the more of it a few ` +
        'large keys have.',
    );
  }
  const { error, nodes, depth } = prefixes;
  const less = `each may have up to ${bytes(error.memory)} and ${plural(error.keys, 'key')} more than shown`;
  const exactness = error.memory + error.keys > 0 ? `not all exactly: ${less}` : `exactly, up to ${plural(depth, 'level')} deep`;
  lines.push(`Counted ${plural(nodes, 'prefix', 'prefixes')}, ${exactness}.`);
  lines.push('Small prefixes are summed up as “others”. Percentiles are exact within 2 %.');
  if (cut.texts > 0) lines.push(`Shortened on this page: ${plural(cut.texts, 'long text')}, which --format json has in full.`);
  return lines;
}
