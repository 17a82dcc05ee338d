import { add, copy, el, type Child } from './dom.js';
import { count, plural, visible } from './format.js';

export interface Column<Row> {
  readonly id: string;
  readonly title: string;
  /** Longer, for those who point at the heading. */
  readonly hint?: string;
  /** What is sorted by, and what CSV has; undefined is always last. */
  readonly value: (row: Row) => number | string | undefined;
  /** What is shown; else the value. */
  readonly cell?: (row: Row) => Child;
  readonly isNumber?: boolean;
  /** Left out where there is little room. */
  readonly isExtra?: boolean;
}

export interface TableOptions<Row> {
  readonly name: string;
  readonly sort?: string;
  /** Text that a search looks in; without it there is no search. */
  readonly searched?: (row: Row) => string;
  readonly onRow?: (row: Row) => void;
  readonly onPoint?: (row: Row | undefined) => void;
  readonly empty?: string;
  /** Rows that are drawn before more are asked for. */
  readonly shown?: number;
}

/** A table that can be sorted, searched and copied. */
export class Table<Row extends object> {
  readonly element: HTMLElement;
  private readonly body = el('tbody');
  private readonly counts = el('span', { class: 'counts' });
  private readonly more = el('button', { type: 'button', class: 'more', hidden: true });
  private readonly headings: HTMLTableCellElement[];
  private readonly lines = new Map<Row, HTMLTableRowElement>();
  private readonly search: HTMLInputElement | undefined;
  private sort: string | undefined;
  private isDescending = true;
  private limit: number;
  private selected: Row | undefined;

  constructor(
    private columns: readonly Column<Row>[],
    private rows: readonly Row[],
    private readonly options: TableOptions<Row>,
  ) {
    this.sort = options.sort;
    this.limit = options.shown ?? 50;
    this.headings = columns.map((column) => this.heading(column));
    const tools = el('div', { class: 'table-tools' });
    if (options.searched !== undefined) {
      this.search = el('input', {
        type: 'search',
        placeholder: 'Search',
        'aria-label': `Search ${options.name}`,
        input: () => this.draw(),
      });
      tools.append(this.search);
    }
    const csv = el('button', { type: 'button', class: 'csv', click: () => void copy(this.csv(), 'the table as CSV') }, 'Copy as CSV');
    add(tools, this.counts, csv);
    this.more.addEventListener('click', () => {
      this.limit = Infinity;
      this.draw();
    });
    const table = el('table', {}, el('caption', {}, options.name), el('thead', {}, el('tr', {}, ...this.headings)), this.body);
    this.element = el(
      'div',
      { class: 'table' },
      tools,
      el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': options.name }, table),
      this.more,
    );
    this.draw();
  }

  show(rows: readonly Row[], sort?: string): void {
    this.rows = rows;
    this.limit = this.options.shown ?? 50;
    if (sort !== undefined) [this.sort, this.isDescending] = [sort, true];
    this.draw();
  }

  /** Marks a row, and brings it into view if it is drawn. */
  select(row: Row | undefined): void {
    if (this.selected !== undefined) this.lines.get(this.selected)?.removeAttribute('aria-selected');
    this.selected = row;
    const line = row === undefined ? undefined : this.lines.get(row);
    if (line === undefined) return;
    line.setAttribute('aria-selected', 'true');
    const box = line.closest('.scroll');
    if (box === null) return;
    const [inner, outer] = [line.getBoundingClientRect(), box.getBoundingClientRect()];
    if (inner.top < outer.top + 32) box.scrollTop -= outer.top + 32 - inner.top;
    else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom;
  }

  get hasFocus(): boolean {
    return this.element.contains(document.activeElement);
  }

  private heading(column: Column<Row>): HTMLTableCellElement {
    const button = el('button', { type: 'button', click: () => this.sortBy(column) }, column.title);
    return el('th', { scope: 'col', class: classes(column), title: column.hint ?? column.title }, button);
  }

  private sortBy({ id, isNumber }: Column<Row>): void {
    if (this.sort === id) this.isDescending = !this.isDescending;
    else [this.sort, this.isDescending] = [id, isNumber === true];
    this.draw();
  }

  private matching(): readonly Row[] {
    const words = this.search?.value.trim().toLowerCase() ?? '';
    const { searched } = this.options;
    const rows =
      words === '' || searched === undefined ? [...this.rows] : this.rows.filter((row) => searched(row).toLowerCase().includes(words));
    const column = this.columns.find(({ id }) => id === this.sort);
    if (column === undefined) return rows;
    const sign = this.isDescending ? -1 : 1;
    return rows.sort((a, b) => {
      const [x, y] = [column.value(a), column.value(b)];
      if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
      return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : x < y ? -1 : x > y ? 1 : 0);
    });
  }

  private draw(): void {
    const rows = this.matching();
    this.headings.forEach((heading, i) => {
      const isSorted = this.columns[i].id === this.sort;
      heading.setAttribute('aria-sort', isSorted ? (this.isDescending ? 'descending' : 'ascending') : 'none');
    });
    this.lines.clear();
    const shown = rows.length > 1.25 * this.limit ? this.limit : rows.length;
    const lines = rows.slice(0, shown).map((row) => this.line(row));
    if (rows.length === 0) {
      lines.push(
        el(
          'tr',
          {},
          el(
            'td',
            { colspan: this.columns.length, class: 'empty' },
            this.rows.length === 0 ? (this.options.empty ?? 'Nothing') : 'Nothing matches',
          ),
        ),
      );
    }
    this.body.replaceChildren(...lines);
    this.counts.textContent =
      rows.length === this.rows.length ? plural(rows.length, 'row') : `${count(rows.length)} of ${plural(this.rows.length, 'row')}`;
    this.more.hidden = rows.length === shown;
    this.more.textContent = `Show all ${count(rows.length)}`;
  }

  private line(row: Row): HTMLTableRowElement {
    const { onRow, onPoint } = this.options;
    const line = el(
      'tr',
      { 'aria-selected': row === this.selected ? 'true' : undefined, class: onRow === undefined ? '' : 'clickable' },
      ...this.columns.map((column) => {
        const value = column.value(row);
        return el(
          'td',
          { class: classes(column) },
          column.cell?.(row) ?? (value === undefined ? '–' : typeof value === 'string' ? visible(value) : count(value)),
        );
      }),
    );
    if (onRow !== undefined) line.addEventListener('click', () => onRow(row));
    if (onPoint !== undefined) {
      line.addEventListener('pointerenter', () => onPoint(row));
      line.addEventListener('pointerleave', () => onPoint(undefined));
    }
    this.lines.set(row, line);
    return line;
  }

  private csv(): string {
    const lines = [
      this.columns.map(({ title }) => title),
      ...this.matching().map((row) => this.columns.map(({ value }) => value(row) ?? '')),
    ];
    return lines.map((cells) => `${cells.map(csvCell).join(',')}\r\n`).join('');
  }
}

const classes = <Row>({ id, isNumber, isExtra }: Column<Row>): string =>
  [`c-${id}`, isNumber === true && 'number', isExtra === true && 'extra'].filter(Boolean).join(' ');

/** RFC 4180; what a spreadsheet would take for a formula gets an apostrophe before it. */
function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = visible(value);
  return `"${(/^[=+\-@]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
}

/** A number with a bar of its share of the greatest. */
export function barCell(text: string, share: number, tint?: string): HTMLElement {
  const width = `${(Math.max(0, Math.min(1, share)) * 100).toFixed(1)}%`;
  const bar = el('span', { class: 'bar', style: { width, ...(tint === undefined ? {} : { background: `var(--${tint})` }) } });
  return el('span', { class: 'bar-cell' }, text, bar);
}
