import type { PrefixNode, Report } from './report.js';

/** Control and format characters would break lines, a semicolon separates frames. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs};]/gu;

/**
 * The memory of prefixes as folded stacks, for flame graphs: a line for each prefix, its segments separated by `;`, and the bytes
 * of the keys that are under no longer prefix.
 */
export function foldedStacks(report: Report): string {
  const lines: string[] = [];
  const visit = (node: PrefixNode, frames: readonly string[]): void => {
    const children = node.children ?? [];
    const own = node.memory - children.reduce((sum, { memory }) => sum + memory, 0);
    if (own > 0) lines.push(`${['all', ...frames].join(';')} ${own}`);
    for (const child of children) visit(child, [...frames, safe(child.name)]);
  };
  visit(report.prefixes.root, []);
  return lines.map((line) => `${line}\n`).join('');
}

function safe(name: string): string {
  return name.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
