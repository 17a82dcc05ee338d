import { choice } from './dom.js';

type Choice = 'auto' | 'light' | 'dark';

const listeners: (() => void)[] = [];
const system = matchMedia('(prefers-color-scheme: dark)');
let chosen: Choice = 'auto';
let isPrinting = false;

/** Called after every change of colours, to draw canvases again. */
export const onTheme = (listener: () => void): void => void listeners.push(listener);

function apply(): void {
  const dark = !isPrinting && (chosen === 'auto' ? system.matches : chosen === 'dark');
  document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
  for (const listener of listeners) listener();
}

/** The switch. The choice is kept if the browser lets it. */
export function themeSwitch(): HTMLElement {
  try {
    const kept = localStorage.getItem('rdbkit-theme');
    if (kept === 'light' || kept === 'dark') chosen = kept;
  } catch {
    // no storage: a matter of the browser's settings
  }
  system.addEventListener('change', apply);
  for (const [event, printing] of [
    ['beforeprint', true],
    ['afterprint', false],
  ] as const) {
    addEventListener(event, () => {
      isPrinting = printing;
      apply();
    });
  }
  apply();
  return choice(
    'Theme',
    [
      ['auto', 'Auto'],
      ['light', 'Light'],
      ['dark', 'Dark'],
    ],
    chosen,
    (value) => {
      chosen = value;
      try {
        if (value === 'auto') localStorage.removeItem('rdbkit-theme');
        else localStorage.setItem('rdbkit-theme', value);
      } catch {
        // as above
      }
      apply();
    },
  );
}

/** The value of a custom property of the style. */
export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const isCalm = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** Types with a colour of their own, in the order of legends; others have that of `other`. */
export const TYPES = ['string', 'hash', 'list', 'set', 'zset', 'stream', 'module', 'array', 'bitmap'] as const;

export const typeColour = (type: string): string => `type-${(TYPES as readonly string[]).includes(type) ? type : 'other'}`;
