import uPlot from 'uplot';
import { legendOf, lineOptions, living, type LineStyle } from './charts.js';
import { el } from './dom.js';

/** Milliseconds that are shown at least. */
const LEAST = 60_000;

/** Lines over time that grow. */
export class LiveChart {
  readonly element: HTMLElement;
  private data: uPlot.AlignedData;
  private plot: uPlot | undefined;

  /**
   * @param time how a time is told
   * @param least how much the scale has at least
   */
  constructor(
    lines: readonly LineStyle[],
    format: (value: number) => string,
    time: (at: number) => string,
    label: string,
    least = 1,
  ) {
    this.data = [[], ...lines.map(() => [])];
    const height = 200;
    const chart = living(height, label, (width, host) => {
      const options = lineOptions({ width, height, host, lines, format, time, dots: false, data: () => this.data });
      const x: uPlot.Scale = { range: (_plot, from, to) => [Math.min(from, to - LEAST / 1000), to] };
      const y: uPlot.Scale = { range: (_plot, _from, to) => [0, Math.max(least, to * 1.1)] };
      this.plot = new uPlot({ ...options, padding: [12, 26, 0, 0], scales: { x, y } }, this.data, host);
      return this.plot;
    });
    this.element = lines.length === 1 ? chart : el('div', {}, chart, legendOf(lines));
  }

  /** @param times Unix milliseconds */
  show(times: readonly number[], values: readonly (readonly (number | null)[])[]): void {
    this.data = [times.map((time) => time / 1000), ...values.map((of) => [...of])];
    this.plot?.setData(this.data);
  }
}
