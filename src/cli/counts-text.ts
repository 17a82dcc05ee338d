import { type CountGroup, type CountRow, rowDiffers } from '../commands/diff-terms.js';
import { countText } from './numbers.js';
import { printable } from './printable.js';
import { Table } from './text-table.js';

const YELLOW = '\u001b[33m';
const RESET = '\u001b[0m';

const INDENT: Readonly<Partial<Record<CountGroup, string>>> = { type: '  ' };

/** Texts of a row: what is counted, both numbers, and the difference if there is one. */
export function countCells(row: CountRow): readonly [name: string, source: string, target: string, difference: string] {
  const { group, name, source, target } = row;
  const difference = source === target ? '' : `${target > source ? '+' : '-'}${countText(Math.abs(target - source))}`;
  return [`${INDENT[group] ?? ''}${printable(name)}`, countText(source), countText(target), difference];
}

/** The numbers of both sides as a table; rows that differ are marked. */
export function countsText(rows: readonly CountRow[], width: number, colour: boolean): string {
  const table = new Table(width, ['', 'source', 'target', 'difference']);
  for (const row of rows) {
    const [name, ...numbers] = countCells(row);
    table.row([`${rowDiffers(row) ? '*' : ' '} ${name}`, ...numbers]);
  }
  const [header, ...lines] = table.lines;
  const marked = lines.map((line, i) => (colour && rowDiffers(rows[i]) ? `${YELLOW}${line}${RESET}` : line));
  return `${[header, ...marked].join('\n')}\n`;
}

/** The same as JSON lines. */
export function countsJson(rows: readonly CountRow[]): string {
  const line = ({ db, group, name, source, target }: CountRow): string =>
    printable(JSON.stringify({ group, db, name: group === 'database' ? undefined : name, source, target, difference: target - source }));
  return rows.map((row) => `${line(row)}\n`).join('');
}
