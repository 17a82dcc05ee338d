import { createHash } from 'node:crypto';
import { type CountGroup, type CountRow, rowDiffers } from '../commands/diff-terms.js';
import { countCells } from './counts-text.js';
import { STYLE } from './diff-page-style.js';
import { countText } from './numbers.js';
import { printable } from './printable.js';

/** What the page of a comparison says. All texts may have anything in them: they are escaped here. */
export interface DiffPage {
  readonly verdict: string;
  readonly tone: 'same' | 'differs' | 'doubtful';
  /** What was compared, and what was not, as sentences. */
  readonly level: readonly string[];
  readonly begun: Date;
  /** As in `2 min 03 s`. */
  readonly duration: string;
  readonly sides: readonly PageSide[];
  /** Options that chose what was compared, as typed. */
  readonly chosen: readonly (readonly [option: string, value: string])[];
  /** How often each kind of difference was found; none at level counts. */
  readonly kinds: readonly (readonly [kind: string, keys: number])[];
  readonly rows: readonly CountRow[];
  /** The first ones, and how many there are. */
  readonly differences: readonly PageDifference[];
  readonly different: number;
  /** What was left out or may be missing, as sentences. */
  readonly excused: readonly string[];
  readonly version: string;
}

export interface PageSide {
  readonly side: 'source' | 'target';
  readonly name: string;
  /** What it is, and how it was read. */
  readonly what: string;
}

export interface PageDifference {
  readonly what: string;
  readonly db: number;
  readonly key: string;
  readonly source: string;
  readonly target: string;
}

const GROUPS: Readonly<Record<CountGroup, string>> = {
  keys: 'All',
  database: 'By database and type',
  type: 'By database and type',
  expiry: 'By expiry',
  expired: 'By expiry',
  prefix: 'By prefix',
  slots: 'By slots',
};

/** The comparison as one HTML file without scripts, which fetches nothing. */
export function diffPage(page: DiffPage): string {
  const { begun, duration, level, tone, verdict, version } = page;
  const digest = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${digest}'; img-src data:; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${html(verdict)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header class="${tone}">
<h1>${html(verdict)}</h1>
${level.map((text) => `<p>${html(text)}</p>`).join('\n')}
<p class="soft">${html(`${begun.toISOString().replace(/\.\d+Z$/, 'Z')}, in ${duration}`)}</p>
</header>
<main>
${sides(page)}${chosen(page)}${excused(page)}${kinds(page)}${counts(page)}${differences(page)}</main>
<footer>Made by rdbkit diff ${html(version)}. This file has everything it shows, and fetches nothing.</footer>
</body>
</html>
`;
}

/** Text for an element or an attribute: one line, with everything unsafe as an escape that can be read. */
const html = (text: string): string => printable(text).replace(/[&<>"']/g, (unsafe) => `&#${unsafe.charCodeAt(0)};`);

const section = (title: string, id: string, body: string): string => `<section id="${id}">\n<h2>${title}</h2>\n${body}\n</section>\n`;

function table(head: readonly string[], body: readonly string[], { name = '', numbers = [] as readonly number[] } = {}): string {
  const cells = head.map((text, i) => `<th scope="col"${numbers.includes(i) ? ' class="number"' : ''}>${text}</th>`).join('');
  const row = head.some((text) => text !== '') ? `<thead><tr>${cells}</tr></thead>\n` : '';
  const opened = name === '' ? '<table>' : `<table class="${name}">`;
  return `<div class="wide" tabindex="0">${opened}\n${row}<tbody>\n${body.join('\n')}\n</tbody></table></div>`;
}

function sides({ sides: all }: DiffPage): string {
  const rows = all.map(({ name, side, what }) => `<tr><th scope="row">${side}</th><td>${html(name)}</td><td>${html(what)}</td></tr>`);
  return section('Sides', 'sides', table(['', 'name', 'what it is'], rows));
}

function chosen({ chosen: options }: DiffPage): string {
  if (options.length === 0) return section('Filters', 'chosen', '<p>None: all keys were compared.</p>');
  const rows = options.map(([option, value]) => `<tr><th scope="row">${html(option)}</th><td class="key">${html(value)}</td></tr>`);
  return section('Filters and other options', 'chosen', table(['', ''], rows));
}

function excused({ excused: texts }: DiffPage): string {
  if (texts.length === 0) return '';
  return section('Left out', 'excused', texts.map((text) => `<p>${html(text)}</p>`).join('\n'));
}

function kinds({ kinds: all }: DiffPage): string {
  if (all.length === 0) return '';
  const rows = all.map(([kind, keys]) => {
    const opened = keys > 0 ? '<tr class="differs">' : '<tr>';
    return `${opened}<th scope="row">${html(kind)}</th><td class="number">${countText(keys)}</td></tr>`;
  });
  return section('Differences', 'kinds', table(['', 'keys'], rows, { numbers: [1] }));
}

function counts({ rows }: DiffPage): string {
  let last = GROUPS.keys;
  const body = rows.flatMap((row) => {
    const title = GROUPS[row.group];
    const [name, ...numbers] = countCells(row);
    const classes = [...(rowDiffers(row) ? ['differs'] : []), ...(row.group === 'type' ? ['sub'] : [])].join(' ');
    const cells = numbers.map((text) => `<td class="number">${text}</td>`).join('');
    const line = `<tr${classes === '' ? '' : ` class="${classes}"`}><th scope="row">${html(name.trimStart())}</th>${cells}</tr>`;
    const head = title === last ? [] : [`<tr><th class="group" colspan="4">${title}</th></tr>`];
    last = title;
    return [...head, line];
  });
  return section('Numbers of keys', 'counts', table(['', 'source', 'target', 'difference'], body, { numbers: [1, 2, 3] }));
}

function differences({ differences: all, different }: DiffPage): string {
  if (all.length === 0) return '';
  const rows = all.map(({ db, key, source, target, what }) => {
    const place = `<td class="number">${db}</td><td class="key">${html(key)}</td>`;
    return `<tr><td>${html(what)}</td>${place}<td>${html(source)}</td><td>${html(target)}</td></tr>`;
  });
  const [shown, found] = [countText(all.length), countText(different)];
  const title = different > all.length ? `The first ${shown} of ${found} keys that differ` : 'Keys that differ';
  return section(title, 'differences', table(['', 'db', 'key', 'source', 'target'], rows, { name: 'differences', numbers: [1] }));
}
