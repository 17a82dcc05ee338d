import type { BaselineReport, Change } from '../inspect/report.js';
import type { PageData } from '../inspect/trim.js';
import { el, fileText, panel, section } from './dom.js';
import { bytes, change, count, short, signed, visible } from './format.js';
import { typeName } from './keys.js';
import { leftOut } from './left-out.js';
import { pattern } from './nodes.js';
import { Table, type Column } from './table.js';

/** This report beside that of an earlier file. */
export function changesSection({ cut }: PageData, { sources, totals, types, prefixes }: BaselineReport): HTMLElement {
  const { before, after } = totals;
  const grown = prefixes.at(0);
  const finding = el(
    'span',
    {},
    `Memory ${change(before.memory, after.memory)} (${signed(after.memory - before.memory, bytes)}), `,
    `keys ${change(before.keys, after.keys)} (${signed(after.keys - before.keys, count)})`,
    grown !== undefined && '; the most under ',
    grown !== undefined && el('code', {}, fileText(pattern(grown.prefix))),
    grown !== undefined && ` (${signed(grown.after.memory - grown.before.memory, bytes)})`,
    '.',
  );
  return section(
    'changes',
    'Changes since the baseline',
    finding,
    el(
      'p',
      { class: 'note' },
      'Baseline: ',
      ...sources.slice(0, 8).flatMap((name, i) => [i > 0 && ', ', fileText(name)]),
      sources.length > 8 && ` and ${count(sources.length - 8)} more`,
    ),
    el(
      'div',
      { class: 'columns' },
      panel(
        'By prefix',
        undefined,
        table(
          prefixes,
          'Changes by prefix',
          {
            id: 'prefix',
            title: 'Prefix',
            value: ({ prefix }) => prefix,
            cell: ({ prefix }) => fileText(prefix || '(all)', { title: visible(prefix) }),
          },
          ({ prefix }) => prefix,
        ),
        leftOut(cut, 'baseline.prefixes', 'prefix', 'prefixes'),
      ),
      panel(
        'By type',
        undefined,
        table(types, 'Changes by type', { id: 'type', title: 'Type', value: ({ type }) => type, cell: ({ type }) => typeName(type) }),
      ),
    ),
  );
}

function table<Row extends Change>(rows: readonly Row[], name: string, first: Column<Row>, searched?: (row: Row) => string): HTMLElement {
  const delta = ({ before, after }: Change): number => after.memory - before.memory;
  const most = Math.max(1, ...rows.map((row) => Math.abs(delta(row))));
  return new Table<Row>(
    [
      first,
      { id: 'before', title: 'Before', isNumber: true, value: ({ before }) => before.memory, cell: ({ before }) => bytes(before.memory) },
      { id: 'after', title: 'After', isNumber: true, value: ({ after }) => after.memory, cell: ({ after }) => bytes(after.memory) },
      {
        id: 'delta',
        title: 'Change',
        isNumber: true,
        value: (row) => Math.abs(delta(row)),
        cell: (row) => deltaCell(signed(delta(row), bytes), delta(row) / most),
      },
      {
        id: 'part',
        title: 'Part',
        isNumber: true,
        isExtra: true,
        value: ({ before, after }) => (before.memory > 0 ? after.memory / before.memory : undefined),
        cell: ({ before, after }) => change(before.memory, after.memory),
      },
      {
        id: 'keys',
        title: 'Keys',
        isNumber: true,
        value: ({ before, after }) => after.keys - before.keys,
        cell: ({ before, after }) => signed(after.keys - before.keys, short),
      },
    ],
    rows,
    { name, sort: 'delta', shown: 20, empty: 'Nothing changed', ...(searched === undefined ? {} : { searched }) },
  ).element;
}

/** More to the right, less to the left. */
function deltaCell(text: string, share: number): HTMLElement {
  const width = `${(Math.abs(share) * 50).toFixed(1)}%`;
  const bar = el('span', {
    class: share > 0 ? 'delta more-memory' : 'delta',
    style: share > 0 ? { left: '50%', width } : { right: '50%', width },
  });
  return el('span', { class: 'delta-cell' }, el('span', { class: 'delta-box' }, bar), el('span', {}, text));
}
