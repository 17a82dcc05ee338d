import type { Report } from '../inspect/report.js';
import { add, choice, copyButton, el, fileText, say, tip, type Child } from './dom.js';
import { bytes, count, part, percent, plural, short, visible } from './format.js';
import { ancestors, descendants, itemTree, mainType, pattern, ttlShare, type Item, type Measure } from './nodes.js';
import { barCell, Table, type Column } from './table.js';
import { TYPES, typeColour } from './theme.js';
import { amountText, describe, itemName, Treemap, type Tint } from './treemap.js';

/** The treemap of prefixes and its table: two views of one focus, one selection and one search. */
export class Explorer {
  readonly element: HTMLElement;
  private readonly root: Item;
  private readonly all: readonly Item[];
  private readonly treemap: Treemap;
  private readonly table: Table<Item>;
  private readonly stage: HTMLElement;
  private readonly trail = el('nav', { class: 'trail', 'aria-label': 'Path of the prefix' });
  private readonly detail = el('div', { class: 'detail' });
  private readonly legend = el('div', { class: 'legend' });
  private focus: Item;
  private selected: Item | undefined;
  private words = '';
  private measure: Measure = 'memory';
  private tint: Tint = 'type';

  constructor(report: Report) {
    this.root = itemTree(report.prefixes.root);
    this.all = [...descendants(this.root)];
    this.focus = this.root;
    this.treemap = new Treemap(this.root, {
      hit: (path) => {
        this.hit(path);
      },
      point: (item, event) => {
        this.treemap.point(item);
        if (item === undefined || event === undefined) tip(undefined);
        else
          tip(
            event,
            el('b', {}, fullName(item)),
            `${amountText(item, this.measure)} · ${percent(part(item[this.measure], this.root[this.measure]))}`,
            tipTypes(item),
          );
      },
    });
    this.table = new Table(this.columns(), [], {
      name: 'Prefixes',
      sort: 'memory',
      shown: 200,
      empty: 'No prefixes below this one',
      onRow: (item) => {
        if (item === this.selected && item.children.length > 0) this.zoom(item);
        else this.select(item);
      },
      onPoint: (item) => {
        this.treemap.point(item);
      },
    });
    this.stage = el(
      'div',
      {
        class: 'stage',
        tabindex: 0,
        role: 'application',
        'aria-roledescription': 'treemap',
        'aria-label': 'Treemap of prefixes. Arrows move, Enter zooms in, Escape zooms out; the table beside it has the same.',
        keydown: (event) => {
          this.key(event as KeyboardEvent);
        },
      },
      this.treemap.canvas,
    );
    const search = el('input', {
      type: 'search',
      id: 'prefix-search',
      placeholder: 'Find a prefix',
      'aria-label': 'Find a prefix',
      input: () => {
        this.search(search.value);
      },
    });
    const tools = el(
      'div',
      { class: 'tools' },
      choice<Measure>(
        'Area',
        [
          ['memory', 'Memory'],
          ['keys', 'Keys'],
          ['bytes', 'File'],
          ['elements', 'Elements'],
        ],
        'memory',
        (value) => {
          this.measure = value;
          this.update();
        },
      ),
      choice<Tint>(
        'Colour',
        [
          ['type', 'Type'],
          ['ttl', 'Expiry'],
        ],
        'type',
        (value) => {
          this.tint = value;
          this.update();
        },
      ),
      search,
    );
    this.element = el(
      'div',
      { class: 'explorer' },
      tools,
      this.trail,
      el('div', { class: 'views' }, el('div', { class: 'map' }, this.stage, this.legend), this.table.element),
      this.detail,
    );
    this.update();
  }

  private columns(): readonly Column<Item>[] {
    const share = (item: Item): number => part(item.memory, this.root.memory);
    return [
      {
        id: 'prefix',
        title: 'Prefix',
        value: (item) => (item.kind === 'prefix' ? item.prefix : `${item.prefix} ${itemName(item)}`),
        cell: (item) => this.nameCell(item),
      },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
      { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
      {
        id: 'share',
        title: 'Share',
        hint: 'Share of all memory',
        isNumber: true,
        value: share,
        cell: (item) => barCell(percent(share(item)), share(item)),
      },
      {
        id: 'mean',
        title: 'Mean',
        hint: 'Mean memory of a key',
        isNumber: true,
        isExtra: true,
        value: (item) => part(item.memory, item.keys),
        cell: (item) => bytes(part(item.memory, item.keys)),
      },
      {
        id: 'p99',
        title: 'p99',
        hint: '99 % of its keys take no more memory',
        isNumber: true,
        isExtra: true,
        value: ({ p99 }) => p99,
        cell: ({ p99 }) => (p99 === undefined ? '–' : bytes(p99)),
      },
      {
        id: 'ttl',
        title: 'TTL',
        hint: 'Share of its keys that expire',
        isNumber: true,
        value: ttlShare,
        cell: (item) => percent(ttlShare(item) ?? NaN),
      },
      {
        id: 'types',
        title: 'Types',
        hint: 'Share of its memory that each type has',
        value: (item) => typesText(item),
        cell: (item) => typeBar(item),
      },
    ];
  }

  private nameCell(item: Item): HTMLElement {
    const shown =
      item.kind !== 'prefix' || item.parent === undefined
        ? el('i', {}, itemName(item))
        : fileText(this.words === '' ? item.name || '(empty)' : item.prefix, { title: visible(item.prefix) });
    const select = el(
      'button',
      {
        type: 'button',
        class: 'name',
        click: (event) => {
          event.stopPropagation();
          this.select(item);
        },
      },
      shown,
    );
    return el(
      'span',
      { class: 'name-cell' },
      select,
      item.children.length > 0 &&
        el('button', {
          type: 'button',
          class: 'zoom',
          title: 'Zoom in',
          'aria-label': `Zoom into ${itemName(item)}`,
          click: (event) => {
            event.stopPropagation();
            this.zoom(item);
          },
        }),
    );
  }

  /** Zooms one step toward what was hit, and selects it or the part around it that is then an entry of its own. */
  private hit(path: readonly Item[]): void {
    const [outer] = path;
    if (outer.children.length === 0) this.select(outer);
    else this.zoom(outer, path.at(1));
  }

  private zoom(item: Item, selected?: Item): void {
    this.focus = item;
    this.selected = selected;
    this.update();
    say(`Zoomed to ${describe(item, this.root)}`);
  }

  private select(item: Item | undefined): void {
    if (item !== undefined && item !== this.focus && item.parent !== this.focus && !this.focus.children.includes(item)) {
      this.focus = item.parent ?? item;
      this.selected = item;
      this.update();
    }
    this.selected = item;
    this.treemap.select(item);
    this.table.select(item);
    this.describe();
    if (item !== undefined) say(describe(item, this.root));
  }

  private search(words: string): void {
    this.words = words.trim().toLowerCase();
    this.update();
  }

  private matching(): readonly Item[] {
    return this.all.filter(
      ({ kind, prefix }) =>
        kind === 'prefix' && (prefix.toLowerCase().includes(this.words) || visible(prefix).toLowerCase().includes(this.words)),
    );
  }

  private update(): void {
    if (this.words === '') {
      this.treemap.highlight(undefined);
      this.table.show(this.focus.children.length > 0 ? this.focus.children : [this.focus]);
    } else {
      const found = this.matching();
      const lit = new Set<Item>();
      for (const item of found) {
        for (const above of ancestors(item)) lit.add(above);
        for (const below of descendants(item)) lit.add(below);
      }
      this.treemap.highlight(lit);
      this.table.show(found);
    }
    this.treemap.show(this.focus, this.measure, this.tint);
    this.treemap.select(this.selected);
    this.table.select(this.selected);
    this.drawTrail();
    this.drawLegend();
    this.describe();
  }

  private key(event: KeyboardEvent): void {
    const arrows: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const arrow = arrows[event.key] as readonly [number, number] | undefined;
    if (arrow !== undefined) {
      const next = this.treemap.next(this.selected, ...arrow);
      if (next !== undefined) this.select(next);
    } else if (event.key === 'Enter' && this.selected !== undefined && this.selected.children.length > 0) {
      this.zoom(this.selected, this.selected.children[0]);
    } else if ((event.key === 'Escape' || event.key === 'Backspace') && this.focus.parent !== undefined) {
      this.zoom(this.focus.parent, this.focus);
    } else if (event.key === 'Home') {
      this.zoom(this.root);
    } else return;
    event.preventDefault();
  }

  private drawTrail(): void {
    const path = ancestors(this.focus);
    this.trail.replaceChildren(
      ...path.map((item, i) => {
        const name = item.parent === undefined ? 'All keys' : item.kind === 'small' ? itemName(item) : fileText(item.name || '(empty)');
        if (i === path.length - 1) return el('span', { 'aria-current': 'location' }, name);
        return el('button', { type: 'button', click: () => this.zoom(item, path[i + 1]) }, name);
      }),
    );
  }

  private drawLegend(): void {
    this.legend.replaceChildren();
    if (this.tint === 'ttl') {
      add(this.legend, 'none expire', el('span', { class: 'ramp' }), 'all expire');
      return;
    }
    const below = [...descendants(this.focus)];
    const main = new Set((below.length > 0 ? below : [this.focus]).map((item) => mainType(item) ?? 'mixed'));
    const names = [...TYPES.filter((type) => main.has(type)), ...[...main].filter((type) => !(TYPES as readonly string[]).includes(type))];
    for (const name of names.slice(0, 12)) {
      const tint = name === 'mixed' ? 'type-mixed' : typeColour(name);
      add(this.legend, el('span', { class: 'key' }, el('span', { class: 'chip', style: { background: `var(--${tint})` } }), visible(name)));
    }
  }

  private describe(): void {
    const item = this.selected ?? this.focus;
    const ttl = ttlShare(item);
    const facts: Child[] = [
      plural(item.keys, 'key'),
      `${bytes(item.memory)} (${percent(part(item.memory, this.root.memory))})`,
      `${bytes(item.bytes)} in the file`,
      `${count(item.elements)} elements`,
      item.keys > 0 && `mean ${bytes(item.memory / item.keys)}`,
      item.p99 !== undefined && `p99 ${bytes(item.p99)}`,
      ttl !== undefined && `${percent(ttl)} of keys expire`,
      typesText(item),
    ];
    const name =
      item.kind !== 'prefix' || item.parent === undefined ? el('b', {}, fullName(item)) : el('b', {}, fileText(pattern(item.prefix)));
    this.detail.replaceChildren(
      el(
        'span',
        { class: 'detail-name' },
        name,
        item.kind === 'prefix' && item.parent !== undefined && copyButton(item.prefix, 'the prefix'),
      ),
      el('span', { class: 'facts' }, ...facts.filter((fact) => fact !== false && fact !== '').map((fact) => el('span', {}, fact))),
    );
  }
}

function fullName(item: Item): string {
  if (item.parent === undefined) return 'All keys';
  const name = item.kind === 'prefix' ? '' : ` ${itemName(item)}`;
  return clip(`${visible(item.kind === 'prefix' ? pattern(item.prefix) : item.prefix)}${name}`.trim());
}

const clip = (text: string): string => (text.length > 160 ? `${text.slice(0, 160)}…` : text);

const shares = ({ types }: Item): (readonly [string, number])[] => Object.entries(types).sort(([, a], [, b]) => b - a);

const typesText = (item: Item): string =>
  shares(item)
    .slice(0, 4)
    .map(([type, share]) => `${visible(type)} ${percent(share)}`)
    .join(', ');

function tipTypes(item: Item): string {
  const ttl = ttlShare(item);
  return [plural(item.keys, 'key'), ttl !== undefined && `${percent(ttl)} expire`, typesText(item)].filter(Boolean).join(' · ');
}

function typeBar(item: Item): HTMLElement {
  const text = typesText(item);
  return el(
    'span',
    { class: 'type-bar', role: 'img', title: text, 'aria-label': text },
    ...shares(item).map(([type, share]) =>
      el('span', { style: { width: `${(share * 100).toFixed(1)}%`, background: `var(--${typeColour(type)})` } }),
    ),
  );
}
