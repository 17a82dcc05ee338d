import type { SourceHead } from '../pipeline/source-heads.js';
import { bytesText, countText, keysText } from './numbers.js';
import { printable } from './printable.js';

const VENDORS = { redis: 'Redis', valkey: 'Valkey' } as const;

/** What a source tells before its first key, and its databases. */
export function headText(head: SourceHead): string {
  const { created, functions, modules, ofPayloads, server, vendor, version } = head;
  return [
    ofPayloads ? `lines of DUMP payloads, RDB ${version}` : `RDB ${version}`,
    ...(server === undefined ? [] : [`of ${VENDORS[vendor]} ${printable(server)}`]),
    ...databases(head),
    ...(functions === 0 ? [] : [`${countText(functions)} function ${functions === 1 ? 'library' : 'libraries'}`]),
    ...(modules.length === 0 ? [] : [`data of ${modules.length === 1 ? 'the module' : 'the modules'} ${printable(modules.join(', '))}`]),
    ...onDisk(head),
    ...(created === undefined ? [] : [`written ${new Date(created * 1000).toISOString().replace('.000Z', 'Z')}`]),
  ].join(', ');
}

/** Databases listed; `--json` has all. */
const MOST_LISTED = 16;

/** `10 keys in db 0`, `1 in db 3`; what was not read may have more. */
function databases({ keys, allDatabases }: SourceHead): string[] {
  if (keys.length === 0) return allDatabases ? ['no keys'] : [];
  const listed = keys.slice(0, MOST_LISTED).map(({ db, keys }, i) => `${i === 0 ? keysText(keys) : countText(keys)} in db ${db}`);
  const more = keys.length - MOST_LISTED;
  return [
    ...listed,
    ...(more > 0 ? [`more in ${countText(more)} other databases`] : []),
    ...(allDatabases ? [] : ['perhaps more in databases not read yet']),
  ];
}

/** The same for JSON lines that an RDB is made from. */
export const encodedText = (head: SourceHead): string => [`JSON lines, written as RDB ${head.version}`, ...onDisk(head)].join(', ');

function onDisk({ compression, size }: SourceHead): string[] {
  return [...(compression === 'none' ? [] : [`compressed with ${compression}`]), ...(size === undefined ? [] : [bytesText(size)])];
}

/** For `--json`. */
export const headObject = (head: SourceHead): object => ({ ...head, libraries: head.libraries.map(({ name }) => name) });
