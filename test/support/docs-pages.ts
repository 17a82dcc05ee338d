import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) => name.endsWith('.md'));
export const read = (page: string): string => readFileSync(join(root, page), 'utf8');

export type Example = [command: string, output: string];

/** Every `$ command` of a console block, and the output shown. A command goes on behind a backslash at the end of a line. */
export const examplesOf = (block: string): Example[] =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const end = /(?<!\\)\n/.exec(text)?.index ?? text.length;
      return [text.slice(0, end), text.slice(end + 1)];
    });

export const blocks = (page: string, before: RegExp): string[] => [...read(page).matchAll(/(.*)\n```console\n([^]*?)```/g)].filter(([, line]) => before.test(line)).map(([, , block]) => block);

/** Of the blocks that need no server. */
export const examples = (page: string): Example[] => blocks(page, /^(?!<!-- (server|cluster|server and cluster) -->$)/).flatMap(examplesOf);
