import type { PageData } from '../inspect/trim.js';
import { el, panel, section } from './dom.js';
import { bytes, part, percent, plural, short, visible } from './format.js';
import { typeName } from './keys.js';
import { leftOut } from './left-out.js';
import { barCell, Table } from './table.js';
import { typeColour } from './theme.js';

/** Types, encodings, and module data types. */
export function typesSection({ report, cut }: PageData): HTMLElement {
  const { types, encodings, modules, memory } = report;
  const all = memory.keys;
  const sorted = [...types].sort((a, b) => b.memory - a.memory);
  const stack = el(
    'div',
    { class: 'stack', 'aria-hidden': 'true' },
    ...sorted.map(({ type, memory }) => {
      const share = part(memory, all);
      return el(
        'span',
        {
          title: `${visible(type)}: ${percent(share)}`,
          style: { width: `${(share * 100).toFixed(2)}%`, background: `var(--${typeColour(type)})` },
        },
        share > 0.09 && `${visible(type)} ${percent(share)}`,
      );
    }),
  );
  const table = new Table(
    [
      { id: 'type', title: 'Type', value: ({ type }) => type, cell: ({ type }) => typeName(type) },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
      {
        id: 'memory',
        title: 'Memory',
        isNumber: true,
        value: ({ memory }) => memory,
        cell: ({ memory, type }) => barCell(bytes(memory), part(memory, all), typeColour(type)),
      },
      {
        id: 'share',
        title: 'Share',
        isNumber: true,
        value: ({ memory }) => part(memory, all),
        cell: ({ memory }) => percent(part(memory, all)),
      },
      {
        id: 'mean',
        title: 'Mean',
        hint: 'Mean memory of a key',
        isNumber: true,
        value: ({ sizes }) => sizes.memory.mean,
        cell: ({ sizes }) => bytes(sizes.memory.mean),
      },
      {
        id: 'p50',
        title: 'p50',
        isNumber: true,
        isExtra: true,
        value: ({ sizes }) => sizes.memory.p50,
        cell: ({ sizes }) => bytes(sizes.memory.p50),
      },
      { id: 'p99', title: 'p99', isNumber: true, value: ({ sizes }) => sizes.memory.p99, cell: ({ sizes }) => bytes(sizes.memory.p99) },
      {
        id: 'max',
        title: 'Max',
        isNumber: true,
        isExtra: true,
        value: ({ sizes }) => sizes.memory.max,
        cell: ({ sizes }) => bytes(sizes.memory.max),
      },
      {
        id: 'elements',
        title: 'Elements',
        hint: 'Mean number of elements',
        isNumber: true,
        isExtra: true,
        value: ({ sizes }) => sizes.elements.mean,
        cell: ({ sizes }) => short(Math.round(sizes.elements.mean)),
      },
      {
        id: 'ttl',
        title: 'TTL',
        hint: 'Share of keys that expire',
        isNumber: true,
        value: (group) => part(group.withExpiry, group.keys),
        cell: (group) => percent(part(group.withExpiry, group.keys)),
      },
    ],
    types,
    { name: 'Types', sort: 'memory', empty: 'No keys' },
  );
  const most = Math.max(1, ...encodings.map(({ memory }) => memory));
  const encodingTable = new Table(
    [
      { id: 'type', title: 'Type', value: ({ type }) => type, cell: ({ type }) => typeName(type) },
      { id: 'encoding', title: 'Encoding', value: ({ encoding }) => encoding },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
      {
        id: 'memory',
        title: 'Memory',
        isNumber: true,
        value: ({ memory }) => memory,
        cell: ({ memory, type }) => barCell(bytes(memory), memory / most, typeColour(type)),
      },
      {
        id: 'mean',
        title: 'Mean',
        hint: 'Mean memory of a key',
        isNumber: true,
        value: (group) => part(group.memory, group.keys),
        cell: (group) => bytes(part(group.memory, group.keys)),
      },
    ],
    encodings,
    { name: 'Encodings', sort: 'memory', empty: 'No keys' },
  );
  const moduleTable =
    modules.length === 0
      ? undefined
      : new Table(
          [
            { id: 'module', title: 'Module data type', value: ({ module }) => module },
            { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
            { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
          ],
          modules,
          { name: 'Modules', sort: 'memory' },
        );
  const guess = memory.guessed > 0 ? `The memory of ${plural(memory.guessed, 'key')} is a guess: only the module knows it.` : undefined;
  const modulePanel = moduleTable && panel('Modules', guess, moduleTable.element, leftOut(cut, 'modules', 'module'));
  const first = sorted.at(0);
  const keyShare = part(first?.keys ?? 0, report.totals.keys);
  const finding = first && `${visible(first.type)}: ${percent(part(first.memory, all))} of memory with ${percent(keyShare)} of keys.`;
  return section(
    'types',
    'Types and encodings',
    finding,
    all > 0 && stack,
    el(
      'div',
      { class: 'columns wide-first' },
      el('div', { class: 'left' }, panel('By type', undefined, table.element), modulePanel),
      panel(
        'By encoding',
        `As OBJECT ENCODING of ${visible(memory.server)} names them.`,
        encodingTable.element,
        leftOut(cut, 'encodings', 'encoding'),
      ),
    ),
  );
}
