import uPlot from 'uplot';
import { el, tip, type Child } from './dom.js';
import { date, scaled, visible } from './format.js';
import { colour, onTheme } from './theme.js';

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** A chart that follows the width of its place and the theme; `build` makes it anew. */
export function living(height: number, label: string, build: (width: number, host: HTMLElement) => uPlot): HTMLElement {
  const host = el('div', { class: 'chart', role: 'img', 'aria-label': label, style: { height: `${height}px` } });
  let plot: uPlot | undefined;
  let width = 0;
  const draw = (): void => {
    if (width === 0) return;
    plot?.destroy();
    plot = build(width, host);
  };
  new ResizeObserver(() => {
    if (host.clientWidth === width) return;
    width = host.clientWidth;
    draw();
  }).observe(host);
  onTheme(draw);
  return host;
}

/** The axis of what a chart counts. */
const amountAxis = (format: (value: number) => string): uPlot.Axis => ({
  stroke: colour('soft'),
  font: FONT,
  grid: { stroke: colour('line'), width: 1 },
  ticks: { show: false },
  size: 64,
  values: (_plot, splits) => splits.map((value) => scaled(format(value))),
});

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** A custom property of the style. */
  readonly tint: string;
  readonly tip: readonly Child[];
}

/** Bars with their amounts above them, one beside the other. */
export function barChart(bars: readonly Bar[], format: (value: number) => string, label: string): HTMLElement {
  const height = 240;
  return living(height, label, (width, host) => {
    const isTight = (width - 72) / bars.length < 44;
    const tints = [...new Set(bars.map(({ tint }) => tint))];
    const plot = new uPlot(
      {
        width,
        height,
        padding: [18, isTight ? 26 : 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: {
          x: { time: false, range: [-0.6, bars.length - 0.4] },
          y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.08 : 1] },
        },
        axes: [
          {
            stroke: colour('soft'),
            font: FONT,
            grid: { show: false },
            ticks: { show: false },
            splits: bars.map((_, i) => i),
            values: (_plot, splits) => splits.map((i) => bars[i].label),
            ...(isTight ? { rotate: -50, size: 58 } : { size: 30 }),
          },
          amountAxis(format),
        ],
        series: [
          {},
          ...tints.map(
            (tint) =>
              ({
                fill: colour(tint),
                stroke: colour(tint),
                width: 0,
                points: { show: false },
                paths: uPlot.paths.bars?.({ size: [0.72, 72], radius: 0.06 }),
              }) as uPlot.Series,
          ),
        ],
        hooks: {
          setCursor: [
            (plot) => {
              pointAt(plot, host, (i) => bars[i]?.tip);
            },
          ],
          draw: [
            (plot) => {
              amounts(plot, bars, format, isTight);
            },
          ],
        },
      },
      [bars.map((_, i) => i), ...tints.map((tint) => bars.map((bar) => (bar.tint === tint ? bar.value : null)))] as uPlot.AlignedData,
      host,
    );
    return plot;
  });
}

function amounts(plot: uPlot, bars: readonly Bar[], format: (value: number) => string, isTight: boolean): void {
  const { ctx } = plot;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.fillStyle = colour('text');
  ctx.textAlign = 'center';
  ctx.textBaseline = 'bottom';
  const step = plot.bbox.width / (bars.length + 0.2);
  bars.forEach(({ value }, i) => {
    const text = format(value);
    if (value <= 0 || isTight || ctx.measureText(text).width > step - 4 * ratio) return;
    ctx.fillText(text, plot.valToPos(i, 'x', true), plot.valToPos(value, 'y', true) - 3 * ratio);
  });
  ctx.restore();
}

function pointAt(plot: uPlot, host: HTMLElement, lines: (i: number) => readonly Child[] | undefined): void {
  const { idx, left, top } = plot.cursor;
  const found = typeof idx === 'number' && (left ?? -1) >= 0 ? lines(idx) : undefined;
  if (found === undefined) {
    tip(undefined);
    return;
  }
  const { left: x, top: y } = host.getElementsByClassName('u-over')[0].getBoundingClientRect();
  tip({ clientX: x + (left ?? 0), clientY: y + (top ?? 0) }, ...found);
}

export interface LineStyle {
  readonly name: string;
  readonly tint: string;
}

export interface Line extends LineStyle {
  readonly values: readonly (number | null)[];
}

interface LineChart {
  readonly width: number;
  readonly height: number;
  readonly host: HTMLElement;
  readonly lines: readonly LineStyle[];
  readonly format: (value: number) => string;
  /** Whether each value has a dot. */
  readonly dots: boolean;
  /** Whatever is drawn now: times in seconds, and the values of each line. */
  readonly data: () => uPlot.AlignedData;
  /** How a time is told; default: as a date. */
  readonly time?: (at: number) => string;
}

/** How lines over time are drawn. */
export function lineOptions({ width, height, host, lines, format, dots, data, time = date }: LineChart): uPlot.Options {
  const amount = (value: number | null | undefined): string => (value === null || value === undefined ? '–' : format(value));
  const named = ({ name }: LineStyle): string => (lines.length > 1 ? `${clip(visible(name))}: ` : '');
  return {
    width,
    height,
    padding: [12, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: [
      { stroke: colour('soft'), font: FONT, grid: { show: false }, ticks: { stroke: colour('line'), size: 5 }, values: TIME_FORMATS },
      amountAxis(format),
    ],
    series: [
      {},
      ...lines.map(({ tint }) => ({ stroke: colour(tint), width: 2, points: { show: dots, size: 5, fill: colour(tint) } })),
    ],
    hooks: {
      setCursor: [
        (plot) => {
          pointAt(plot, host, (i) => {
            const [times, ...values] = data();
            return [el('b', {}, time(times[i] * 1000)), ...lines.map((line, n) => `${named(line)}${amount(values[n][i])}`)];
          });
        },
      ],
    },
  };
}

/** Lines over time, with a legend of their names beneath. */
export function lineChart(times: readonly number[], lines: readonly Line[], format: (value: number) => string, label: string): HTMLElement {
  const height = 220;
  const data: uPlot.AlignedData = [times.map((time) => time / 1000), ...lines.map(({ values }) => [...values])];
  const chart = living(
    height,
    label,
    (width, host) =>
      new uPlot(lineOptions({ width, height, host, lines, format, dots: times.length <= 60, data: () => data }), data, host),
  );
  return lines.length === 1 ? chart : el('div', {}, chart, legendOf(lines));
}

export const legendOf = (lines: readonly LineStyle[]): HTMLElement =>
  el(
    'div',
    { class: 'legend' },
    ...lines.map(({ name, tint }) =>
      el('span', { class: 'key' }, el('span', { class: 'chip', style: { background: `var(--${tint})` } }), clip(visible(name))),
    ),
  );

const clip = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** As uPlot's own, but with the day before the month's name and 24 hours. */
const TIME_FORMATS: (string | number | null)[][] = [
  [3600 * 24 * 365, '{YYYY}', null, null, null, null, null, null, 1],
  [3600 * 24 * 28, '{MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [3600 * 24, '{D} {MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [60, '{HH}:{mm}', '\n{D} {MMM}', null, '\n{D} {MMM}', null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', '\n{D} {MMM}', null, '\n{D} {MMM}', null, null, null, 1],
];
