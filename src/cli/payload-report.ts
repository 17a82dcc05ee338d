import { findingError, type PayloadReport } from '../commands/payload.js';
import { errorObject, faultLine } from './errors.js';
import { payloadHint } from './hints.js';
import { countText } from './numbers.js';
import { keyText } from './printable.js';

const bytesOf = (count: number): string => `${countText(count)} ${count === 1 ? 'byte' : 'bytes'}`;

/** A report as text: a line for each thing that is known. */
export function reportText(report: PayloadReport): string {
  const {
    db,
    encoding,
    encodingId,
    encodingSince = 0,
    error,
    form,
    key,
    keyMetaBytes,
    newline,
    serverRanges,
    size,
    trailingBytes,
    type,
    valueBytes,
    version,
  } = report;
  const rows: [string, string | undefined][] = [
    ['form', `${form}, ${bytesOf(size)}${newline ? '; the newline at the end is not of the payload' : ''}`],
    ['key', key === undefined ? undefined : `${keyText(key)}, db ${db}`],
    ['type', type === undefined ? undefined : `${type}, ${encoding} (${encodingId})`],
    [
      'version',
      version === undefined
        ? undefined
        : `RDB ${version}${encodingSince > version ? `; its type came with ${encodingSince}, but servers restore it all the same` : ''}`,
    ],
    ['checksum', checksumText(report)],
    ['metadata', keyMetaBytes === undefined || keyMetaBytes === 0 ? undefined : `${bytesOf(keyMetaBytes)}, of modules`],
    ['value', valueBytes === undefined ? undefined : bytesOf(valueBytes)],
    [
      'trailing',
      trailingBytes === undefined || trailingBytes === 0
        ? undefined
        : `${bytesOf(trailingBytes)} after the value, which servers ignore`,
    ],
    ['servers', error === undefined ? (serverRanges === '' ? 'none that is known' : serverRanges) : undefined],
    ['damage', error === undefined ? undefined : `${error.code}: ${faultLine(error)} ${payloadHint(error.code)}`],
    ...furtherFaults(report).map((fault): [string, string] => ['damage', fault]),
  ];
  return rows.flatMap(([name, text]) => (text === undefined ? [] : [`${name.padEnd(9)} ${text}\n`])).join('');
}

function checksumText({ checksum, computedChecksum, storedChecksum }: PayloadReport): string | undefined {
  if (checksum === undefined || checksum === 'ok') return checksum && `ok, ${storedChecksum}`;
  if (checksum === 'none') return `omitted (zeros), its bytes have ${computedChecksum}`;
  return `wrong: it says ${storedChecksum}, its bytes have ${computedChecksum}`;
}

/** What is wrong beside the first thing: a sentence each, and how much more there is. */
function furtherFaults({ db, findings = [], key, moreFindings = 0 }: PayloadReport): string[] {
  const faults = findings.slice(1).map((finding) => `${finding.code}: ${faultLine(findingError(finding).at({ db, key }))}`);
  return moreFindings === 0 ? faults : [...faults, `and ${countText(moreFindings)} more.`];
}

/** A damaged one among many: a line for each thing that is wrong with it. */
export function damageLine(report: PayloadReport, number: number): string {
  const { error } = report;
  if (error === undefined) return '';
  return [`${error.code}: ${faultLine(error)}`, ...furtherFaults(report)].map((fault) => `line ${number}: ${fault}\n`).join('');
}

/** The line for one of many, damaged or not. */
export function reportLine(report: PayloadReport, number: number | undefined): string {
  const { encoding, error, form, key, size, type, version } = report;
  if (error !== undefined) return damageLine(report, number ?? 1);
  const parts = [...(key === undefined ? [form] : [`key ${keyText(key)}`]), `${type}, ${encoding}`, `RDB ${version}`, bytesOf(size)];
  return `${number === undefined ? '' : `line ${number}: `}${parts.join(', ')}\n`;
}

export function tallyLine(count: number, damaged: number): string {
  const found = damaged === 0 ? 'all valid' : `${countText(count - damaged)} valid, ${countText(damaged)} damaged`;
  return `${countText(count)} payloads: ${found}\n`;
}

/** Read by other programs: fields may be added, never renamed. */
export function reportObject(report: PayloadReport): object {
  const { error } = report;
  return { valid: error === undefined, ...report, serverRanges: undefined, error: error && errorObject(error, payloadHint(error.code)) };
}
