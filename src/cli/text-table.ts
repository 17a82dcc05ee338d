/** Text in columns, for terminals and files: what is counted are the cells that characters take there. */

/** Spaces between columns. */
const GAP = 2;
const SHORTEST_NAME = 8;

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
    const widths = this.rows[0].map((_, i) => this.rows.reduce((most, row) => Math.max(most, width(row[i])), 0));
    const others = widths.slice(1).reduce((sum, size) => sum + size + GAP, 0);
    const first = Math.min(widths[0], Math.max(SHORTEST_NAME, this.columns - others));
    return this.rows.map((row) => {
      const name = shortened(row[0], first);
      const cells = row.slice(1).map((cell, i) => ' '.repeat(GAP + widths[i + 1] - width(cell)) + cell);
      return `${name}${' '.repeat(first - width(name))}${cells.join('')}`.trimEnd();
    });
  }
}

/** What is wide or full-width by UAX #11, somewhat more of it, and emoji: two cells. */
const WIDE =
  /^[\u1100-\u115f\u2329\u232a\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe1f\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{1d300}-\u{1d37f}\u{1f200}-\u{1f2ff}\u{20000}-\u{3ffff}\p{Emoji_Presentation}]/u;
/** Marks that take no cell of their own. */
const MARK = /^[\p{Mn}\p{Me}]/u;
/** Makes an emoji of the character before it, which then takes two cells. */
const AS_EMOJI = '\ufe0f';

function cellsOf(character: string): number {
  if (character < '\u0300' || character === AS_EMOJI) return 1;
  return MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
}

/** Cells that a text takes on a terminal. */
export function width(text: string): number {
  let cells = 0;
  for (const character of text) cells += cellsOf(character);
  return cells;
}

/** Leaves out the middle of a text that is too long: both ends of a key tell what it is. */
export function shortened(text: string, cells: number): string {
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

/** Lines of at most `columns` cells, those after the first indented; words that are longer than a line are cut. */
export function wrapped(text: string, columns: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const piece of text.split(' ').flatMap((word) => pieces(word, columns - indent.length))) {
    if (line !== '' && width(line) + 1 + width(piece) > columns) {
      lines.push(line);
      line = indent + piece;
    } else {
      line = line === '' ? piece : `${line} ${piece}`;
    }
  }
  return [...lines, line].map((one) => one.replace(/ +$/, '')); // other spaces belong to the text
}

function pieces(word: string, most: number): string[] {
  if (width(word) <= most) return [word];
  const found = [''];
  let cells = 0;
  for (const character of word) {
    cells += cellsOf(character);
    if (cells > most) {
      found.push('');
      cells = cellsOf(character);
    }
    found[found.length - 1] += character;
  }
  return found;
}
