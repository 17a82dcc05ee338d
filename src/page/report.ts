import type { PageData } from '../inspect/trim.js';
import { adviceSection } from './advice.js';
import { balanceSection } from './balance.js';
import { changesSection } from './changes.js';
import { el, fileText, section } from './dom.js';
import { Explorer } from './explorer.js';
import { filesSection } from './files.js';
import { date, plural, visible } from './format.js';
import { keysSection } from './keys.js';
import { themeSwitch } from './theme.js';
import { timeSection } from './time.js';
import { typesSection } from './types.js';
import { marks, numbers, sentence } from './verdict.js';

const data = JSON.parse(document.getElementById('data')?.textContent ?? '{}') as PageData;
const { report, cut } = data;

const sections = [
  adviceSection(data),
  ...(report.totals.keys === 0 ? [] : [typesSection(data), keysSection(data), timeSection(data), balanceSection(report)]),
  ...(report.baseline === undefined ? [] : [changesSection(data, report.baseline)]),
  filesSection(data),
];

const names = report.sources.map(({ name }) => name);
const [first] = names;
const title =
  names.length === 0
    ? 'no files'
    : names.length === 1
      ? first
      : `${first} and ${plural(names.length - 1 + (cut.lists['sources'] || 0), 'other')}`;
document.title = `${visible(title).slice(0, 120)} – rdbkit`;

const prefixes = section(
  'prefixes',
  'Prefixes',
  undefined,
  report.totals.keys === 0 ? el('p', { class: 'nothing' }, 'No keys: nothing to draw.') : new Explorer(report).element,
);

document
  .getElementById('page')
  ?.append(
    el(
      'header',
      {},
      el(
        'div',
        { class: 'bar-inner' },
        el('span', { class: 'brand' }, 'rdbkit'),
        el(
          'span',
          { class: 'source' },
          fileText(title, { title: visible(title) }),
          el('span', { class: 'soft' }, date(report.sources.at(0)?.savedAt ?? report.at)),
        ),
        themeSwitch(),
      ),
    ),
    el(
      'main',
      {},
      el('div', { class: 'verdict' }, el('h1', {}, ...sentence(report)), marks(report), numbers(report)),
      prefixes,
      el(
        'nav',
        { class: 'contents', 'aria-label': 'Sections' },
        ...sections.map((element) => el('a', { href: `#${element.id}` }, element.querySelector('h2')?.textContent ?? '')),
      ),
      ...sections,
    ),
  );
