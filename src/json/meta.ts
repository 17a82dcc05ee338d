import type { Frame } from '../rdb/frame.js';
import { keyMetaOf, metaRecord } from '../values/meta.js';
import type { ModulePart } from '../values/js-values.js';
import { StringTexts } from '../values/value-texts.js';
import type { FileEnd } from '../pipeline/sink.js';

/*
 * Records that are no keys, as JSON: they are few, so plain objects serve. They are the library's records in text mode, but for
 * the parts of modules.
 */
const texts = new StringTexts();

/** What `{"uint":"1"}` and its kind are called, by opcode. */
export const MODULE_PART_NAMES: readonly string[] = ['eof', 'sint', 'uint', 'float', 'double', 'string'];

/** The JSON object of a META frame. */
export function metaJson(frame: Frame): object {
  const record = metaRecord(frame, texts);
  return 'parts' in record ? { ...record, parts: record.parts.map(partJson) } : record;
}

/** The last line of a file. */
export function endJson(file: FileEnd): object {
  return { type: 'end', ...file };
}

export function jsonLine(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

/** KEY_META (redis 8.6): what modules attached to a key. */
export function keyMetaJson(bytes: Uint8Array): object[] {
  return keyMetaOf(bytes, texts).map((meta) => ({ ...meta, parts: meta.parts.map(partJson) }));
}

/** 64-bit integers as text, and what JSON has no number for too. */
function partJson({ kind, value }: ModulePart<string>): object {
  if (typeof value === 'bigint') return { [kind]: value.toString() };
  if (typeof value === 'string' || Number.isFinite(value)) return { [kind]: value };
  return { [kind]: String(value).replace('Infinity', 'inf').toLowerCase() };
}
