/** Spaces between columns. */
const GAP = 2;
const SHORTEST_NAME = 16;

/** Rows of text in columns: names to the left, which are shortened to fit, and numbers to the right. */
export class Table {
  private readonly rows: (readonly string[])[];

  constructor(
    private readonly columns: number,
    header: readonly string[],
  ) {
    this.rows = [header];
  }

  row(cells: readonly string[]): void {
    this.rows.push(cells);
  }

  get lines(): string[] {
    const widths = this.rows[0].map((_, i) => Math.max(...this.rows.map((row) => width(row[i]))));
    const others = widths.slice(1).reduce((sum, size) => sum + size + GAP, 0);
    const first = Math.min(widths[0], Math.max(SHORTEST_NAME, this.columns - others));
    return this.rows.map((row) => {
      const name = shortened(row[0], first);
      const cells = row.slice(1).map((cell, i) => ' '.repeat(GAP + widths[i + 1] - width(cell)) + cell);
      return `${name}${' '.repeat(first - width(name))}${cells.join('')}`.trimEnd();
    });
  }
}

/** East Asian wide characters and emoji take two cells. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/gu;
/** Marks that take no cell of their own. */
const MARKS = /\p{M}/gu;

/** Cells that a text takes on a terminal. */
export function width(text: string): number {
  let cells = 0;
  for (const character of text.replace(MARKS, '')) cells += character.match(WIDE) === null ? 1 : 2;
  return cells;
}

/** Leaves out the middle of a text that is too long: both ends of a key tell what it is. */
function shortened(text: string, cells: number): string {
  if (width(text) <= cells) return text;
  const characters = Array.from(text);
  let [front, back] = [Math.ceil((cells - 1) / 2), Math.floor((cells - 1) / 2)];
  for (;;) {
    const short = `${characters.slice(0, front).join('')}…${back === 0 ? '' : characters.slice(-back).join('')}`;
    if (width(short) <= cells || front + back === 0) return short;
    if (front > back) front--;
    else back--;
  }
}
