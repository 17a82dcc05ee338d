import type { Cut } from '../inspect/trim.js';
import { el } from './dom.js';
import { plural } from './format.js';

/** Says how many entries of a list the page does not have. */
export function leftOut({ lists }: Cut, path: string, one: string, many = `${one}s`): HTMLElement | undefined {
  const left = (lists as Readonly<Record<string, number | undefined>>)[path];
  return left === undefined
    ? undefined
    : el('p', { class: 'note' }, `${plural(left, `more ${one}`, `more ${many}`)} left out of this page; --format json has them.`);
}
