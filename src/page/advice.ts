import type { Advice, Warning } from '../inspect/report.js';
import type { PageData } from '../inspect/trim.js';
import { el, fileText, panel, section } from './dom.js';
import { bytes, part, percent, plural, short, visible } from './format.js';
import { leftOut } from './left-out.js';

const WARNINGS: Readonly<Record<Warning['kind'], string>> = {
  bigKey: 'Big key',
  manyElements: 'Many elements',
  hotSlot: 'Hot slot',
  bigShard: 'Big shard',
  expired: 'Expired',
  damage: 'Damage',
  history: 'History',
};

const ADVICE: Readonly<Record<Advice['kind'], string>> = {
  fieldSets: 'Repeated field names',
  bigCollections: 'Big collections',
  noExpiry: 'No expiry',
  duplicates: 'Duplicates',
};

/** What is wrong, and what to do about memory. */
export function adviceSection({ report, cut }: PageData): HTMLElement {
  const { warnings, advice, memory } = report;
  const saves = advice.reduce((sum, { saves = 0 }) => sum + saves, 0);
  const saved = saves > 0 ? `, up to ${bytes(saves)} of memory saved (${percent(Math.min(1, part(saves, memory.keys)))})` : '';
  const counts = [
    ...(warnings.length > 0 ? [plural(warnings.length, 'warning')] : []),
    ...(advice.length > 0 ? [`${plural(advice.length, 'suggestion')}${saved}`] : []),
  ];
  const finding = counts.length === 0 ? 'Nothing stands out.' : `${counts.join(', and ')}.`;
  const sorted = [...advice].sort((a, b) => (b.saves ?? 0) - (a.saves ?? 0));
  return section(
    'advice',
    'Health and advice',
    finding,
    el(
      'div',
      { class: 'columns' },
      (warnings.length > 0 || report.target !== undefined) &&
        el(
          'div',
          { class: 'left' },
          warnings.length > 0 &&
            panel(
              'Warnings',
              undefined,
              el(
                'ul',
                { class: 'warnings' },
                ...warnings.map(({ kind, text }) =>
                  el('li', { class: kind === 'damage' ? 'bad' : '' }, el('span', { class: 'tag' }, WARNINGS[kind]), fileText(text)),
                ),
              ),
              leftOut(cut, 'warnings', 'warning'),
            ),
          report.target && targetPanel(report.target),
        ),
      advice.length > 0 &&
        panel(
          'What would save memory',
          'Estimates, each by itself: two of them may save the same bytes.',
          el(
            'ol',
            { class: 'advice' },
            ...sorted.map((item) =>
              el(
                'li',
                {},
                el(
                  'div',
                  { class: 'saves' },
                  item.saves === undefined ? el('span', { class: 'unknown', title: 'Not known' }, '–') : bytes(item.saves),
                ),
                el(
                  'div',
                  {},
                  el('span', { class: 'tag' }, ADVICE[item.kind]),
                  fileText(item.text),
                  el('p', { class: 'basis' }, 'Reckoned: ', fileText(item.basis)),
                ),
              ),
            ),
          ),
          leftOut(cut, 'advice', 'suggestion'),
        ),
    ),
  );
}

function targetPanel({ server, rewritten, impossible }: NonNullable<PageData['report']['target']>): HTMLElement {
  const says =
    impossible.length > 0
      ? `It cannot hold ${plural(
          impossible.reduce((sum, { keys }) => sum + keys, 0),
          'key',
        )}.`
      : rewritten.length > 0
        ? 'It can hold all keys; some have to be rewritten.'
        : 'It can read all keys as they are.';
  return panel(
    `For ${visible(server)}`,
    says,
    el(
      'ul',
      { class: 'warnings' },
      ...impossible.map(({ type, keys, memory, reason }) =>
        el(
          'li',
          { class: 'bad' },
          el('span', { class: 'tag' }, 'Impossible'),
          fileText(type),
          `: ${short(keys)} keys, ${bytes(memory)}: `,
          fileText(reason),
        ),
      ),
      ...rewritten.map(({ type, keys, memory }) =>
        el('li', {}, el('span', { class: 'tag' }, 'Rewritten'), fileText(type), `: ${short(keys)} keys, ${bytes(memory)}`),
      ),
    ),
  );
}
