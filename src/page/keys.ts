import type { Key } from '../inspect/report.js';
import type { PageData } from '../inspect/trim.js';
import { choice, copyButton, el, fileText, section } from './dom.js';
import { bytes, count, date, millis, part, percent, seconds, short, visible } from './format.js';
import { barCell, Table, type Column } from './table.js';
import { typeColour } from './theme.js';
import { leftOut } from './left-out.js';

type Order = 'memory' | 'elements' | 'largest';

/** The biggest keys, by three measures. */
export function keysSection({ report, cut }: PageData): HTMLElement {
  const { top, sources, at } = report;
  const all = [...top.memory, ...top.elements, ...top.largest];
  const most = Math.max(1, ...all.map(({ memory }) => memory));
  const has = (name: 'idle' | 'freq'): boolean => all.some((key) => key[name] !== undefined);
  const fileName = ({ source }: Key): string => sources.at(source)?.name ?? String(source);
  const columns: Column<Key>[] = [
    {
      id: 'key',
      title: 'Key',
      value: ({ key }) => key,
      cell: ({ key }) => el('span', { class: 'name-cell' }, unfolding(key), copyButton(key, 'the key')),
    },
    { id: 'type', title: 'Type', value: ({ type }) => type, cell: ({ type }) => typeName(type) },
    { id: 'encoding', title: 'Encoding', isExtra: true, value: ({ encoding }) => encoding },
    {
      id: 'memory',
      title: 'Memory',
      isNumber: true,
      value: ({ memory }) => memory,
      cell: ({ memory, type }) => barCell(bytes(memory), memory / most, typeColour(type)),
    },
    { id: 'elements', title: 'Elements', isNumber: true, value: ({ elements }) => elements, cell: ({ elements }) => short(elements) },
    { id: 'largest', title: 'Largest element', isNumber: true, value: ({ largest }) => largest, cell: ({ largest }) => bytes(largest) },
    { id: 'bytes', title: 'In the file', isNumber: true, isExtra: true, value: (key) => key.bytes, cell: (key) => bytes(key.bytes) },
    {
      id: 'ttl',
      title: 'Expires',
      isNumber: true,
      value: ({ expireAt }) => expireAt,
      cell: ({ expireAt }) =>
        expireAt === undefined
          ? el('span', { class: 'soft' }, 'never')
          : el('span', { title: date(expireAt) }, expireAt <= at ? 'expired' : `in ${millis(expireAt - at)}`),
    },
  ];
  if (has('idle'))
    columns.push({
      id: 'idle',
      title: 'Idle',
      isNumber: true,
      value: ({ idle }) => idle,
      cell: ({ idle }) => (idle === undefined ? '–' : seconds(idle)),
    });
  if (has('freq')) columns.push({ id: 'freq', title: 'LFU', isNumber: true, value: ({ freq }) => freq });
  if (all.some(({ db }) => db !== 0)) columns.push({ id: 'db', title: 'DB', isNumber: true, value: ({ db }) => db });
  columns.push({ id: 'slot', title: 'Slot', isNumber: true, isExtra: true, value: ({ slot }) => slot, cell: ({ slot }) => String(slot) });
  if (sources.length > 1) {
    columns.push({
      id: 'file',
      title: 'File',
      isExtra: true,
      value: (key) => fileName(key),
      cell: (key) => fileText(fileName(key), { title: visible(fileName(key)) }),
    });
  }
  const table = new Table(columns, top.memory, {
    name: 'Biggest keys',
    sort: 'memory',
    searched: ({ key, type, encoding }) => `${key} ${visible(key)} ${type} ${encoding}`,
    shown: 20,
    empty: 'No keys',
  });
  const orders = choice<Order>(
    'Largest by',
    [
      ['memory', 'Memory'],
      ['elements', 'Elements'],
      ['largest', 'Largest element'],
    ],
    'memory',
    (order) => {
      table.show(top[order], order);
    },
  );
  const sum = top.memory.reduce((all, { memory }) => all + memory, 0);
  const share = part(sum, report.memory.keys);
  const which = top.memory.length === 1 ? 'The largest has' : `The ${count(top.memory.length)} largest have`;
  const finding = `${which} ${bytes(sum)}, ${percent(Math.min(1, share))} of all memory.`;
  return section(
    'keys',
    'Biggest keys',
    finding,
    el(
      'div',
      { class: 'panel' },
      orders,
      table.element,
      leftOut(cut, 'top.memory', 'key'),
      report.sample !== undefined && el('p', { class: 'note' }, 'Of those in the sample: others may be larger.'),
    ),
  );
}

export const typeName = (type: string): HTMLElement =>
  el('span', { class: 'key' }, el('span', { class: 'chip', style: { background: `var(--${typeColour(type)})` } }), visible(type));

/** A key that is cut where there is no room, and whole after a click. */
function unfolding(key: string): HTMLElement {
  const button = el(
    'button',
    {
      type: 'button',
      class: 'name',
      title: visible(key),
      'aria-expanded': 'false',
      click: () => {
        button.setAttribute('aria-expanded', String(button.getAttribute('aria-expanded') !== 'true'));
      },
    },
    fileText(key),
  );
  return button;
}
