import { readFileSync } from 'node:fs';
import type { Report } from './report.js';
import { LIMITS, trimmed, type Limits } from './trim.js';

/** No file is larger, in bytes of UTF-8. */
export const MOST_BYTES = 2_000_000;

/** Where the page (src/page, built by page.mjs) takes its data. */
const PLACE = '<!--data-->';

let page: string | undefined;

/** The report as one HTML file: script, style and data are in it, and nothing is fetched. Cut off until it is small enough. */
export function htmlReport(report: Report): string {
  page ??= readFileSync(new URL('./page.html', import.meta.url), 'utf8');
  const at = page.indexOf(PLACE);
  const [before, after] = [page.slice(0, at), page.slice(at + PLACE.length)];
  for (let limits = LIMITS; ; limits = halved(limits)) {
    const json = JSON.stringify(trimmed(report, limits));
    if (json.length > MOST_BYTES && limits.list > 1) continue;
    const html = before + forScript(json) + after;
    if (Buffer.byteLength(html) <= MOST_BYTES || limits.list === 1) return html;
  }
}

function halved({ nodes, list, text }: Limits): Limits {
  return { nodes: Math.ceil(nodes / 2), list: Math.ceil(list / 2), text: Math.max(64, Math.ceil(text / 2)) };
}

/** JSON that ends no script element, opens no comment, and shows marks of direction to those who read the source. */
function forScript(json: string): string {
  return json.replace(/[<>&\p{Cf}\p{Zl}\p{Zp}]/gu, (unsafe) => {
    let escaped = '';
    for (let i = 0; i < unsafe.length; i++) escaped += `\\u${unsafe.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return escaped;
  });
}
