import type { Report } from '../inspect/report.js';
import { el, panel, say, section, tip } from './dom.js';
import { bytes, count, part, percent, plural, short } from './format.js';
import { SLOTS, split, unbalanced, type Shard } from './shards.js';
import { Table } from './table.js';
import { colour, onTheme } from './theme.js';

const SIDE = 128;
const MOST_SHARDS = 1000;

/** Slots as a heat map, shards as bars, and what another number of shards would have. */
export function balanceSection(report: Report): HTMLElement {
  const { slots, hottest, shards } = report.slots;
  const memory = slots.reduce((sum, [, , , memory]) => sum + memory, 0);
  const hot = hottest.at(0);
  const share = part(hot?.memory ?? 0, memory);
  const hotSaid =
    hot && `the hottest, ${hot.slot}, has ${percent(share)} of memory, ${short(Math.round(share * SLOTS))} times an even share`;
  const finding = `${count(slots.length)} of 16,384 slots have keys${hotSaid === undefined ? '' : `; ${hotSaid}`}.`;
  const table = new Table(
    [
      { id: 'slot', title: 'Slot', isNumber: true, value: ({ slot }) => slot, cell: ({ slot }) => String(slot) },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
      { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
      {
        id: 'share',
        title: 'Share',
        isNumber: true,
        value: ({ memory: own }) => part(own, memory),
        cell: ({ memory: own }) => percent(part(own, memory)),
      },
    ],
    hottest,
    { name: 'Hottest slots', sort: 'memory', shown: 8, empty: 'No keys' },
  );
  return section(
    'balance',
    'Balance of a cluster',
    finding,
    el(
      'div',
      { class: 'columns' },
      panel('Memory by slot', 'One square for each slot: 128 in a row, slot 0 at the top left. Arrows move.', heatMap(slots)),
      el('div', { class: 'left' }, splitPanel(slots, shards), panel('Hottest slots', undefined, table.element)),
    ),
  );
}

function heatMap(slots: Report['slots']['slots']): HTMLElement {
  const canvas = el('canvas', { class: 'heat', width: SIDE, height: SIDE });
  const cursor = el('div', { class: 'heat-cursor', hidden: true });
  const readout = el('output', { class: 'heat-readout' }, 'Point at a slot');
  const bySlot = new Map(slots.map(([slot, keys, , memory]) => [slot, { keys, memory }]));
  const most = Math.max(1, ...[...bySlot.values()].map(({ memory }) => memory));
  const least = Math.max(1, Math.min(most, ...[...bySlot.values()].filter(({ memory }) => memory > 0).map(({ memory }) => memory)));
  /** 0 to 1, by the logarithm. */
  const heat = (memory: number): number => (most === least ? 1 : Math.log(Math.max(memory, least) / least) / Math.log(most / least));
  const draw = (): void => {
    const context = canvas.getContext('2d');
    if (context === null) return;
    const steps = ['heat-0', 'heat-1', 'heat-2', 'heat-3'].map((name) => rgb(colour(name)));
    const empty = rgb(colour('heat-empty'));
    const image = context.createImageData(SIDE, SIDE);
    for (let slot = 0; slot < SLOTS; slot++) {
      const found = bySlot.get(slot);
      const at = found === undefined ? 0 : heat(found.memory) * (steps.length - 1);
      const step = Math.min(steps.length - 2, Math.floor(at));
      for (let i = 0; i < 3; i++) {
        image.data[slot * 4 + i] =
          found === undefined ? empty[i] : Math.round(steps[step][i] + (steps[step + 1][i] - steps[step][i]) * (at - step));
      }
      image.data[slot * 4 + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };
  draw();
  onTheme(draw);
  let at = 0;
  const text = (slot: number): string => {
    const { keys, memory } = bySlot.get(slot) ?? { keys: 0, memory: 0 };
    return `Slot ${slot}: ${plural(keys, 'key')}, ${bytes(memory)}`;
  };
  const show = (slot: number): void => {
    at = slot;
    cursor.hidden = false;
    cursor.style.left = `${((slot % SIDE) / SIDE) * 100}%`;
    cursor.style.top = `${(Math.floor(slot / SIDE) / SIDE) * 100}%`;
    readout.textContent = text(slot);
  };
  const pointed = (event: PointerEvent): number => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const clamp = (value: number): number => Math.max(0, Math.min(SIDE - 1, Math.floor(value * SIDE)));
    return clamp((event.clientY - top) / height) * SIDE + clamp((event.clientX - left) / width);
  };
  const box = el(
    'div',
    {
      class: 'heat-box',
      tabindex: 0,
      role: 'application',
      'aria-roledescription': 'heat map',
      'aria-label': 'Memory by slot. Arrows move from slot to slot.',
      pointermove: (event) => {
        show(pointed(event as PointerEvent));
        tip(event as PointerEvent, text(at));
      },
      pointerleave: () => {
        tip(undefined);
      },
      keydown: (event) => {
        const steps: Readonly<Record<string, number | undefined>> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIDE, ArrowDown: SIDE };
        const step = steps[(event as KeyboardEvent).key];
        if (step === undefined) return;
        event.preventDefault();
        show((at + step + SLOTS) % SLOTS);
        say(text(at));
      },
    },
    canvas,
    cursor,
  );
  const scale = el(
    'div',
    { class: 'legend' },
    slots.length > 0 ? bytes(least) : '0',
    el('span', { class: 'heat-ramp' }),
    slots.length > 0 ? bytes(most) : '0',
    el('span', { class: 'key' }, el('span', { class: 'chip', style: { background: 'var(--heat-empty)' } }), 'empty'),
  );
  return el('div', {}, box, readout, scale);
}

const rgb = (hex: string): readonly number[] => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function splitPanel(slots: Report['slots']['slots'], shards: Report['slots']['shards']): HTMLElement {
  const columns = el('div', { class: 'shards', role: 'img' });
  const said = el('p', { class: 'note' });
  const table = new Table<Shard & { readonly number: number }>(
    [
      { id: 'number', title: 'Shard', isNumber: true, value: ({ number }) => number },
      { id: 'range', title: 'Slots', value: ({ from }) => from, cell: ({ from, to }) => `${from}–${to}`, isNumber: true },
      { id: 'keys', title: 'Keys', isNumber: true, value: ({ keys }) => keys, cell: ({ keys }) => short(keys) },
      { id: 'memory', title: 'Memory', isNumber: true, value: ({ memory }) => memory, cell: ({ memory }) => bytes(memory) },
    ],
    [],
    { name: 'Shards', shown: 12 },
  );
  const draw = (list: readonly Shard[]): void => {
    const sum = list.reduce((all, { memory }) => all + memory, 0);
    const mean = sum / list.length;
    const most = Math.max(1, ...list.map(({ memory }) => memory));
    const off = new Set(unbalanced(list));
    columns.replaceChildren(
      el('div', { class: 'mean', style: { bottom: `${(mean / most) * 100}%` } }),
      ...list.map((shard, i) => {
        const bar = el(
          'div',
          { class: off.has(shard) ? 'shard off' : 'shard', style: { height: `${Math.max(0.5, (shard.memory / most) * 100)}%` } },
          list.length <= 12 && el('span', {}, bytes(shard.memory)),
        );
        const event = (move: Event): void => {
          tip(
            move as PointerEvent,
            el('b', {}, `Shard ${i + 1} of ${list.length}`),
            `Slots ${shard.from}–${shard.to}`,
            `${bytes(shard.memory)}, ${plural(shard.keys, 'key')}`,
            `${percent(part(shard.memory, sum))} of memory`,
          );
        };
        return el(
          'div',
          {
            class: 'shard-place',
            pointermove: event,
            pointerleave: () => {
              tip(undefined);
            },
          },
          bar,
        );
      }),
    );
    columns.classList.toggle('dense', list.length > 40);
    const largest = list.reduce((a, b) => (b.memory > a.memory ? b : a), list[0]);
    const offSaid = off.size === 0 ? 'none is' : `${count(off.size)} ${off.size === 1 ? 'is' : 'are'}`;
    const over = `${percent(part(largest.memory, mean) - 1)} over the mean of ${bytes(mean)}`;
    said.textContent = `The largest of ${count(list.length)} has ${bytes(largest.memory)}, ${over}; ${offSaid} more than 25 % off it.`;
    columns.setAttribute('aria-label', said.textContent);
    table.show(list.map((shard, i) => ({ ...shard, number: i + 1 })));
  };
  const input = el('input', {
    type: 'number',
    min: 1,
    max: MOST_SHARDS,
    value: shards?.length ?? 3,
    id: 'shard-count',
    input: () => {
      const parts = Math.round(Number(input.value));
      if (parts >= 1 && parts <= MOST_SHARDS) draw(split(slots, parts));
    },
  });
  draw(shards !== undefined && shards.length > 0 ? shards : split(slots, 3));
  const label = el('label', { class: 'shard-count', for: 'shard-count' }, 'Split into', input, 'shards of equal ranges of slots');
  return panel(
    'Memory by shard',
    label,
    columns,
    said,
    el('details', { class: 'chart-table' }, el('summary', {}, 'Numbers'), table.element),
  );
}
