import { copyText, pieces } from './format.js';

export type Child = Node | string | number | undefined | false;

export interface Attributes {
  readonly [name: string]: string | number | boolean | undefined | Readonly<Record<string, string>> | ((event: Event) => void);
}

/** An element. Texts become text nodes, functions listeners (`click`), `style` goes by property: nothing is ever parsed. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (typeof value === 'object') for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  add(element, ...children);
  return element;
}

export function add(parent: Element, ...children: readonly Child[]): void {
  for (const child of children)
    if (child !== undefined && child !== false) parent.append(typeof child === 'number' ? String(child) : child);
}

/** Text from the file: escapes stand out, and its direction ends with it. */
export function fileText(text: string, attributes: Attributes = {}): HTMLElement {
  const parts = pieces(text).map((piece, i) => (i % 2 === 1 ? el('span', { class: 'escape' }, piece) : piece));
  return el('bdi', { class: 'file-text', dir: 'ltr', ...attributes }, ...parts);
}

/** Says something to a screen reader. */
export function say(text: string): void {
  const status = document.getElementById('status');
  if (status !== null) status.textContent = text;
}

export async function copy(text: string, what: string): Promise<void> {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copied = copyBySelection(text);
  }
  toast(copied ? `Copied ${what}` : 'The browser did not let it copy');
}

/** Where there is no clipboard without asking: a plain http page. */
function copyBySelection(text: string): boolean {
  const area = el('textarea', { class: 'hidden', 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way there
  const copied = document.execCommand('copy');
  area.remove();
  return copied;
}

export function copyButton(text: string, what: string): HTMLButtonElement {
  return el('button', {
    class: 'copy',
    type: 'button',
    title: 'Copy',
    'aria-label': `Copy ${what}`,
    click: (event) => {
      event.stopPropagation();
      void copy(copyText(text), what);
    },
  });
}

let leaving = 0;

function toast(text: string): void {
  const element = document.getElementById('toast');
  if (element === null) return;
  element.textContent = text;
  element.classList.add('shown');
  clearTimeout(leaving);
  leaving = window.setTimeout(() => {
    element.classList.remove('shown');
  }, 1800);
}

/** Beside the pointer, never outside the window. Not for screen readers: what it says is in tables too. */
export function tip(event: { readonly clientX: number; readonly clientY: number } | undefined, ...lines: readonly Child[]): void {
  const element = document.getElementById('tip');
  if (element === null) return;
  element.hidden = event === undefined;
  if (event === undefined) return;
  element.replaceChildren();
  lines.forEach((line) => line !== undefined && line !== false && element.append(el('div', {}, line)));
  const { width, height } = element.getBoundingClientRect();
  const left = Math.max(4, Math.min(event.clientX + 14, document.documentElement.clientWidth - width - 4));
  const below = event.clientY + 16 + height < window.innerHeight;
  element.style.left = `${left}px`;
  element.style.top = `${Math.max(4, below ? event.clientY + 16 : event.clientY - height - 10)}px`;
}

/** Buttons of which one is chosen. */
export function choice<Value extends string>(
  name: string,
  options: readonly (readonly [value: Value, label: string])[],
  chosen: Value,
  choose: (value: Value) => void,
): HTMLElement {
  const buttons = options.map(([value, label]) =>
    el(
      'button',
      {
        type: 'button',
        'aria-pressed': String(value === chosen),
        'data-value': value,
        click: () => {
          for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset['value'] === value));
          choose(value);
        },
      },
      label,
    ),
  );
  return el(
    'div',
    { class: 'choice', role: 'group', 'aria-label': name },
    el('span', { class: 'choice-name', 'aria-hidden': 'true' }, name),
    ...buttons,
  );
}

/** A section with a heading that says what was found. */
export function section(id: string, title: string, finding: Child, ...children: readonly Child[]): HTMLElement {
  return el(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    el('h2', { id: `${id}-title` }, title),
    finding !== undefined && finding !== '' && el('p', { class: 'finding' }, finding),
    ...children,
  );
}

export function panel(title: string, note: Child, ...children: readonly Child[]): HTMLElement {
  return el(
    'div',
    { class: 'panel' },
    el('h3', {}, title),
    note !== undefined && note !== '' && el('p', { class: 'note' }, note),
    ...children,
  );
}

/** One of the numbers on top. */
export const number = (name: string, value: string, note: Child, title?: string): HTMLElement =>
  el(
    'div',
    { class: 'figure', title },
    el('dt', {}, name),
    el('dd', {}, el('span', { class: 'value' }, value), el('span', { class: 'sub' }, note)),
  );
