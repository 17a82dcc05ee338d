import { hierarchy, treemap, treemapSquarify } from 'd3-hierarchy';
import { bytes, count, percent, plural, short, visible } from './format.js';
import { gathered, mainType, ttlShare, type Item, type Measure } from './nodes.js';
import { colour, isCalm, onTheme, typeColour, TYPES } from './theme.js';

export type Tint = 'type' | 'ttl';

interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

interface Cell extends Box {
  readonly item: Item;
  /** 1 for children of the focus. */
  readonly depth: number;
  /** Its children are drawn in it. */
  readonly isGroup: boolean;
}

/** As d3 takes it: an item and its children, but not theirs. */
interface Branch {
  readonly item: Item;
  readonly children?: readonly Branch[];
}

export interface TreemapEvents {
  /** A click: the cell that was hit, and those around it, the outermost first. */
  readonly hit: (path: readonly Item[]) => void;
  readonly point: (item: Item | undefined, event?: PointerEvent) => void;
}

const HEADER = 20;
/** Prefixes with a smaller area, in square pixels, are drawn as one. */
const LEAST_AREA = 110;
const GAP = 2;
const ZOOM_TIME = 260;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export const amountText = (item: Item, measure: Measure): string =>
  measure === 'keys' ? plural(item.keys, 'key') : measure === 'elements' ? `${short(item.elements)} el.` : bytes(item[measure]);

export function itemName(item: Item): string {
  if (item.kind === 'small') return `${count(item.prefixes)} smaller`;
  if (item.kind === 'rest' && item.prefixes > 0) return `others (${plural(item.prefixes, 'prefix', 'prefixes')})`;
  if (item.kind === 'rest') return item.parent?.parent === undefined ? 'no prefix' : 'no further prefix';
  return item.parent === undefined ? 'all keys' : visible(item.name) || '(empty)';
}

/** Draws prefixes as areas, on a canvas: thousands at once without a delay. */
export class Treemap {
  readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D;
  private cells: readonly Cell[] = [];
  private width = 0;
  private height = 0;
  private measure: Measure = 'memory';
  private tint: Tint = 'type';
  private selected: Item | undefined;
  private pointed: Item | undefined;
  private matches: ReadonlySet<Item> | undefined;
  private zoom: { readonly from: Box; readonly since: number; readonly isIn: boolean } | undefined;
  private frame = 0;
  private readonly kept = document.createElement('canvas');
  /** What was kept is no longer what has to be seen. */
  private isStale = true;

  constructor(
    private focus: Item,
    events: TreemapEvents,
  ) {
    this.canvas = document.createElement('canvas');
    const context = this.canvas.getContext('2d');
    if (context === null) throw new Error('no canvas');
    this.context = context;
    this.canvas.addEventListener('click', (event) => {
      const path = this.at(event);
      if (path.length > 0) events.hit(path);
    });
    this.canvas.addEventListener('pointermove', (event) => {
      if (event.pointerType !== 'touch') events.point(this.at(event).at(-1), event);
    });
    this.canvas.addEventListener('pointerleave', () => {
      events.point(undefined);
    });
    new ResizeObserver(() => {
      this.resize();
    }).observe(this.canvas);
    onTheme(() => {
      this.isStale = true;
      this.paint(); // at once: a page that is printed waits for no frame
    });
  }

  /** Shows what is below an item; zooms there from where it was. */
  show(focus: Item, measure: Measure, tint: Tint): void {
    const before = this.cells.find(({ item }) => item === focus);
    const previous = this.focus;
    [this.focus, this.measure, this.tint] = [focus, measure, tint];
    this.layout();
    if (focus !== previous && !isCalm() && this.width > 0) {
      const after = this.cells.find(({ item }) => item === previous);
      const from = before ?? after;
      if (from !== undefined) this.zoom = { from, since: performance.now(), isIn: before !== undefined };
    }
    this.redraw();
  }

  select(item: Item | undefined): void {
    this.selected = item;
    this.draw();
  }

  point(item: Item | undefined): void {
    if (item === this.pointed) return;
    this.pointed = item;
    this.draw();
  }

  /** What a search found, with all above and below; the others are pale. */
  highlight(matches: ReadonlySet<Item> | undefined): void {
    this.matches = matches;
    this.redraw();
  }

  /** The child of the focus that lies in a direction from another, for the keyboard. */
  next(from: Item | undefined, dx: number, dy: number): Item | undefined {
    const cells = this.cells.filter(({ depth }) => depth === 1);
    const start = cells.find(({ item }) => item === from);
    if (start === undefined) return cells[0]?.item;
    let best: Item | undefined;
    let least = Infinity;
    for (const cell of cells) {
      const [alongX, sharedX] = dx > 0 ? range(start, cell, 'x', 'w') : range(cell, start, 'x', 'w');
      const [alongY, sharedY] = dy > 0 ? range(start, cell, 'y', 'h') : range(cell, start, 'y', 'h');
      const [along, shared] = dx !== 0 ? [alongX, sharedY] : [alongY, sharedX];
      // the nearest beside it, of equally near ones that with the longest common side; else the one least aside
      const cost = shared > 0 ? 10 * along - shared / 10 : 10_000 + 10 * along - 20 * shared;
      if (cell !== start && along > -1 && cost < least) [best, least] = [cell.item, cost];
    }
    return best;
  }

  /** Cells under the pointer, the outermost first. */
  private at({ offsetX, offsetY }: MouseEvent): Item[] {
    return this.cells
      .filter(({ x, y, w, h }) => offsetX >= x && offsetX < x + w && offsetY >= y && offsetY < y + h)
      .map(({ item }) => item);
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.canvas;
    if (clientWidth === this.width && clientHeight === this.height) return;
    [this.width, this.height] = [clientWidth, clientHeight];
    this.zoom = undefined;
    this.layout();
    this.isStale = true;
    this.paint();
  }

  private layout(): void {
    const cells: Cell[] = [];
    const { measure } = this;
    const fill = (item: Item, box: Box, depth: number): void => {
      const all = item.children.reduce((sum, child) => sum + child[measure], 0);
      if (all <= 0 || box.w <= 0 || box.h <= 0) return;
      const shown = gathered(item, measure, (all * LEAST_AREA) / (box.w * box.h));
      const root = hierarchy<Branch>({ item, children: shown.map((child) => ({ item: child })) })
        .sum((node) => (node.item === item ? 0 : node.item[measure]))
        .sort((a, b) => Number(b.data.item.kind === 'prefix') - Number(a.data.item.kind === 'prefix') || (b.value ?? 0) - (a.value ?? 0));
      const placed = treemap<Branch>()
        .tile(treemapSquarify.ratio(1.3))
        .size([box.w + GAP, box.h + GAP])
        .paddingInner(GAP)(root);
      for (const { x0, x1, y0, y1, data } of placed.children ?? []) {
        const cell = { x: box.x + x0, y: box.y + y0, w: Math.min(x1, box.w) - x0, h: Math.min(y1, box.h) - y0 };
        if (cell.w < 0.5 || cell.h < 0.5) continue;
        const isGroup =
          data.item.kind !== 'small' &&
          depth < 3 &&
          data.item.children.length > 0 &&
          cell.w > 64 &&
          cell.h > HEADER + 26 &&
          (depth < 2 || cell.w * cell.h > 22_000);
        cells.push({ item: data.item, depth, isGroup, ...cell });
        if (isGroup) fill(data.item, { x: cell.x + 3, y: cell.y + HEADER, w: cell.w - 6, h: cell.h - HEADER - 3 }, depth + 1);
      }
    };
    const all = { x: 0, y: 0, w: this.width, h: this.height };
    if (this.focus.children.length > 0) fill(this.focus, all, 1);
    else if (this.focus[measure] > 0) cells.push({ item: this.focus, depth: 1, isGroup: false, ...all });
    this.cells = cells;
  }

  private redraw(): void {
    this.isStale = true;
    this.draw();
  }

  private draw(): void {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.paint();
      });
    }
  }

  private paint(): void {
    const { canvas, context, width, height } = this;
    if (width === 0 || height === 0) return;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
      [canvas.width, canvas.height] = [w, h];
      this.isStale = true;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const view = this.view();
    const ink = new Inks(this.tint);
    context.textBaseline = 'alphabetic';
    context.direction = 'ltr';
    if (this.isStale || this.zoom !== undefined) {
      for (const cell of this.cells) this.paintCell(placed(cell, view), cell, ink);
      this.keep();
      this.isStale = this.zoom !== undefined;
    } else context.drawImage(this.kept, 0, 0, width, height);
    this.outline(this.pointed, view, ink.text, 2);
    this.outline(this.selected, view, ink.accent, 3);
    if (this.zoom !== undefined) this.draw();
  }

  /** Keeps the picture without outlines, which follow the pointer. */
  private keep(): void {
    const { canvas, kept } = this;
    [kept.width, kept.height] = [canvas.width, canvas.height];
    kept.getContext('2d')?.drawImage(canvas, 0, 0);
  }

  private paintCell(box: Box, { item, isGroup, depth }: Cell, ink: Inks): void {
    const { context } = this;
    context.globalAlpha = this.matches === undefined || this.isMatch(item) ? 1 : 0.18;
    context.fillStyle = isGroup ? ink.group(depth) : ink.fill(item);
    const radius = Math.min(4, box.w / 4, box.h / 4);
    context.beginPath();
    context.roundRect(box.x, box.y, box.w, box.h, radius);
    context.fill();
    if (box.h >= 15 && box.w >= 30) {
      const name = itemName(item);
      const amount = amountText(item, this.measure);
      if (isGroup) this.labelGroup(box, name, amount, ink);
      else this.labelLeaf(box, name, amount, ink);
    }
    context.globalAlpha = 1;
  }

  private isMatch(item: Item): boolean {
    return this.matches?.has(item) === true || (item.kind === 'small' && item.children.some((child) => this.matches?.has(child)));
  }

  private labelGroup(box: Box, name: string, amount: string, ink: Inks): void {
    const { context } = this;
    context.fillStyle = ink.text;
    context.font = `600 12px ${FONT}`;
    const room = box.w - 12;
    const drawn = this.fitted(name, room);
    if (drawn === undefined) return;
    context.fillText(drawn, box.x + 6, box.y + 14);
    const used = context.measureText(drawn).width;
    context.font = `400 11px ${FONT}`;
    context.fillStyle = ink.soft;
    if (used + context.measureText(amount).width + 14 <= room) {
      context.textAlign = 'right';
      context.fillText(amount, box.x + box.w - 6, box.y + 14);
      context.textAlign = 'left';
    }
  }

  private labelLeaf(box: Box, name: string, amount: string, ink: Inks): void {
    const { context } = this;
    context.fillStyle = ink.label;
    context.font = `500 12px ${FONT}`;
    const drawn = this.fitted(name, box.w - 10);
    if (drawn === undefined) return;
    context.fillText(drawn, box.x + 5, box.y + Math.min(15, box.h / 2 + 4));
    if (box.h < 34) return;
    context.font = `400 11px ${FONT}`;
    if (context.measureText(amount).width <= box.w - 10) context.fillText(amount, box.x + 5, box.y + 29);
  }

  /** The text if it fits, a part of it that still says something, or nothing. */
  private fitted(text: string, room: number): string | undefined {
    const { context } = this;
    const clipped = text.length > 200 ? text.slice(0, 200) : text;
    if (clipped === text && context.measureText(text).width <= room) return text;
    if (room < 56) return undefined;
    const letters = Array.from(clipped);
    let [low, high] = [0, letters.length];
    while (low < high) {
      const half = (low + high + 1) >> 1;
      if (context.measureText(`${letters.slice(0, half).join('')}…`).width <= room) low = half;
      else high = half - 1;
    }
    return low >= 5 ? `${letters.slice(0, low).join('')}…` : undefined;
  }

  private outline(item: Item | undefined, view: View, stroke: string, line: number): void {
    const cell = item && (this.cells.find((cell) => cell.item === item) ?? this.cells.find((cell) => isIn(item, cell.item)));
    if (cell === undefined) return;
    const { x, y, w, h } = placed(cell, view);
    const { context } = this;
    context.lineWidth = line;
    context.strokeStyle = stroke;
    context.beginPath();
    context.roundRect(x + line / 2, y + line / 2, Math.max(0, w - line), Math.max(0, h - line), Math.min(4, w / 4, h / 4));
    context.stroke();
  }

  /** Where the layout stands on the way of a zoom: it grows out of the box that it was, or shrinks into the one that it becomes. */
  private view(): View {
    const { zoom, width, height } = this;
    if (zoom === undefined) return { x: 0, y: 0, sx: 1, sy: 1 };
    const t = Math.min(1, (performance.now() - zoom.since) / ZOOM_TIME);
    if (t === 1) this.zoom = undefined;
    const eased = 1 - (1 - t) ** 3;
    const { from } = zoom;
    const start = zoom.isIn
      ? { x: from.x, y: from.y, sx: from.w / width, sy: from.h / height }
      : { x: (-from.x * width) / from.w, y: (-from.y * height) / from.h, sx: width / from.w, sy: height / from.h };
    const mix = (a: number, b: number): number => a + (b - a) * eased;
    return { x: mix(start.x, 0), y: mix(start.y, 0), sx: mix(start.sx, 1), sy: mix(start.sy, 1) };
  }
}

interface View {
  readonly x: number;
  readonly y: number;
  readonly sx: number;
  readonly sy: number;
}

const placed = ({ x, y, w, h }: Box, view: View): Box => ({
  x: view.x + x * view.sx,
  y: view.y + y * view.sy,
  w: w * view.sx,
  h: h * view.sy,
});

/** How far the second box begins after the end of the first, and how long both are side by side (negative: apart). */
const range = (first: Box, second: Box, at: 'x' | 'y', size: 'w' | 'h'): readonly [after: number, shared: number] => [
  second[at] - first[at] - first[size],
  Math.min(first[at] + first[size], second[at] + second[size]) - Math.max(first[at], second[at]),
];

const isIn = (item: Item, small: Item): boolean => small.kind === 'small' && small.children.includes(item);

/** The colours of the theme, read once for each time it is drawn. */
class Inks {
  readonly text = colour('text');
  readonly soft = colour('soft');
  readonly label = colour('cell-text');
  readonly accent = colour('accent');
  private readonly groups = [colour('group-1'), colour('group-2')];
  private readonly types = new Map([...TYPES, 'other'].map(typeColour).map((name) => [name, colour(name)]));
  private readonly mixed = colour('type-mixed');
  private readonly never = rgb(colour('ttl-never'));
  private readonly always = rgb(colour('ttl-always'));

  constructor(private readonly tint: Tint) {}

  group(depth: number): string {
    return this.groups[depth - 1] ?? this.groups[1];
  }

  fill(item: Item): string {
    if (this.tint === 'type') {
      const type = mainType(item);
      return (type === undefined ? undefined : this.types.get(typeColour(type))) ?? this.mixed;
    }
    const share = ttlShare(item) ?? 0;
    const mixed = this.never.map((part, i) => Math.round(part + (this.always[i] - part) * share));
    return `rgb(${mixed.join(' ')})`;
  }
}

const rgb = (hex: string): readonly number[] => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

export function describe(item: Item, total: Item): string {
  const ttl = ttlShare(item);
  const share = percent(item.memory / (total.memory || 1));
  const expire = ttl === undefined ? '' : `, ${percent(ttl)} of them expire`;
  return `${itemName(item)}: ${bytes(item.memory)}, ${share} of all memory, ${plural(item.keys, 'key')}${expire}`;
}
