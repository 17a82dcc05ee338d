import type { SourceHead } from '../pipeline/source-heads.js';
import { bytesText, countText, keysText } from './numbers.js';
import { printable } from './printable.js';

const VENDORS = { redis: 'Redis', valkey: 'Valkey' } as const;

/** What a source tells before its first key. */
export function headText(head: SourceHead): string {
  const { created, functions, keys, modules, ofPayloads, server, vendor, version } = head;
  return [
    ofPayloads ? `lines of DUMP payloads, RDB ${version}` : `RDB ${version}`,
    ...(server === undefined ? [] : [`of ${VENDORS[vendor]} ${printable(server)}`]),
    ...keys.map(({ db, keys }) => `${keysText(keys)} in database ${db}`),
    ...(functions === 0 ? [] : [`${countText(functions)} function ${functions === 1 ? 'library' : 'libraries'}`]),
    ...(modules.length === 0 ? [] : [`data of modules ${printable(modules.join(' '))}`]),
    ...onDisk(head),
    ...(created === undefined ? [] : [`written ${new Date(created * 1000).toISOString().replace('.000Z', 'Z')}`]),
  ].join(', ');
}

/** The same for JSON lines that an RDB is made from. */
export const encodedText = (head: SourceHead): string => [`JSON lines, written as RDB ${head.version}`, ...onDisk(head)].join(', ');

function onDisk({ compression, size }: SourceHead): string[] {
  return [...(compression === 'none' ? [] : [`compressed with ${compression}`]), ...(size === undefined ? [] : [bytesText(size)])];
}

/** For `--json`. */
export const headObject = (head: SourceHead): object => ({ ...head, libraries: head.libraries.map(({ name }) => name) });
