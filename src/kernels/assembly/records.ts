/*
 * Whole lines: rows of a batch (../layout.ts) as json/json-lines.ts writes them. A row that is not plain in any
 * way (a type that is not listed, damage, no room) ends it, with nothing written of that row: the caller takes it up.
 */
import { signed } from './numbers';
import {
  DROPPED, HAS_EXPIRE, HAS_META, KEY_HELD, LINE, RECORD, RECORD_INTSET as INTSET, RECORD_ITEMS as ITEMS, RECORD_LISTPACK as LISTPACK,
  RECORD_QUICKLIST as QUICKLIST, RECORD_QUICKLIST2 as QUICKLIST2, RECORD_TEXT as TEXT, RECORD_ZIPLIST as ZIPLIST, RUN_ITEMS, RUN_PAIRS,
} from '../layout';
import { DB, END, EXPIRE, FLAGS, FREQ, IDLE, KEY_END, KEY_START, KIND, ROW, START, TYPE } from './row';
import { from, isInteger, length, readLength, runItems, runPairs, runScores, string, to, walked, writeElement } from './run';
import { text, textSize } from './text';

/**
 * By type number, `FORM` bytes each: container, kind of run, how its elements are read (two), and then the addresses and
 * lengths of three texts: what stands between key and modifiers, before the first element, and after the last.
 */
const FORM: usize = 28;
let forms: usize = 0;

export function recordForms(at: usize): void {
  forms = at;
}

/** The end of the last line written. */
let written: usize = 0;

export function recordsOut(): usize {
  return written;
}

/** Decodes rows from `row` to `rows`, whose positions count from `base`. Returns the first that was not done. */
export function records(table: usize, row: i32, rows: i32, base: usize, out: usize, outEnd: usize): i32 {
  let o = out;
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    if ((load<i32>(at, FLAGS) & DROPPED) != 0) continue;
    const next = line(at, base, o, outEnd);
    if (next == 0) break;
    o = next;
  }
  written = o;
  return row;
}

/** Most bytes written around key and value. */
const AROUND: usize = 320;

function line(row: usize, base: usize, out: usize, outEnd: usize): usize {
  const kind = load<i32>(row, KIND);
  const start = base + (load<u32>(row, START) as usize);
  const end = base + (load<u32>(row, END) as usize);
  if (kind == LINE) {
    if (end - start > outEnd - out) return 0;
    memory.copy(out, start, end - start);
    return out + (end - start);
  }
  if (kind != RECORD) return 0;
  const flags = load<i32>(row, FLAGS);
  if ((flags & (HAS_META | KEY_HELD)) != 0) return 0;
  const form = forms + (load<u32>(row, TYPE) as usize) * FORM;
  if (load<u8>(form) == 0) return 0;
  const keyStart = base + (load<u32>(row, KEY_START) as usize);
  const keyEnd = base + (load<u32>(row, KEY_END) as usize);
  if (textSize(keyEnd - keyStart) + 2 * AROUND > outEnd - out) return 0;

  let o = out;
  store<u32>(o, 0x6264227b); // {"db
  store<u16>(o, 0x3a22, 4); // ":
  o = signed(load<i32>(row, DB) as i64, o + 6);
  store<u64>(o, 0x3a2279656b222c); // ,"key":
  o = text(keyStart, keyEnd, o + 7);
  o = put(form + 4, o);
  if ((flags & HAS_EXPIRE) != 0) {
    store<u64>(o, 0x657269707865222c); // ,"expire
    store<u32>(o, 0x3a227441, 8); // At":
    o = signed(load<i64>(row, EXPIRE), o + 12);
  }
  const idle = load<f64>(row, IDLE);
  if (idle >= 0) {
    store<u64>(o, 0x3a22656c6469222c); // ,"idle":
    o = signed(idle as i64, o + 8);
  }
  const freq = load<i32>(row, FREQ);
  if (freq >= 0) {
    store<u64>(o, 0x3a2271657266222c); // ,"freq":
    o = signed(freq as i64, o + 8);
  }
  o = put(form + 12, o);
  o = value(form, start, end, o, outEnd - AROUND);
  return o == 0 ? 0 : put(form + 20, o);
}

/** Writes one of the texts of a form. */
@inline
function put(which: usize, at: usize): usize {
  const bytes = load<u32>(which) as usize;
  v128.store(at, v128.load(bytes));
  v128.store(at, v128.load(bytes, 16), 16);
  return at + (load<u32>(which, 4) as usize);
}

function value(form: usize, start: usize, end: usize, o: usize, outEnd: usize): usize {
  const container = load<u8>(form) as i32;
  if (container == TEXT) {
    const next = string(start, end);
    if (next != end || (!isInteger && textSize(to - from) > outEnd - o)) return 0;
    return writeElement(o);
  }
  if (container == ITEMS) {
    const first = readLength(start);
    if (first == 0 || first > end) return 0;
    return run(form, first, end, o, outEnd);
  }
  if (container == QUICKLIST || container == QUICKLIST2) return quicklist(container, start, end, o, outEnd);
  const next = string(start, end);
  if (next != end || isInteger) return 0;
  return packed(container, form, from, to, o, outEnd, true);
}

@inline
function run(form: usize, start: usize, end: usize, o: usize, outEnd: usize): usize {
  const kind = load<u8>(form, 1) as i32;
  const how = load<u8>(form, 2) as i32;
  if (kind == RUN_ITEMS) return runItems(how, start, end, o, outEnd, true);
  if (kind == RUN_PAIRS) return runPairs(how, start, end, o, outEnd, true);
  return runScores(how, load<u8>(form, 3) as i32, start, end, o, outEnd, true);
}

/** A packed value in [start, end): checks what stands around its elements. `first`: nothing was written of the list. */
function packed(container: i32, form: usize, start: usize, end: usize, o: usize, outEnd: usize, first: bool): usize {
  const size = end - start;
  if (container == INTSET) {
    if (size < 8) return 0;
    const width = load<u32>(start);
    const how = width == 2 ? 5 : width == 4 ? 6 : width == 8 ? 7 : 0;
    if (how == 0 || 8 + (load<u32>(start, 4) as u64) * (width as u64) != (size as u64)) return 0;
    return runItems(how, start + 8, end, o, outEnd, true);
  }
  const header: usize = container == LISTPACK ? 6 : 10;
  if (size < header + 1 || load<u32>(start) != (size as u32) || load<u8>(end - 1) != 0xff) return 0;
  const count = load<u16>(start + header - 2) as u32;
  const next = form == 0
    ? runItems(container == LISTPACK ? 1 : 2, start + header, end - 1, o, outEnd, first)
    : run(form, start + header, end - 1, o, outEnd);
  return next == 0 || (count != 0xffff && count != walked) ? 0 : next;
}

/** Nodes of lists: packed, or one element each (quicklist.h). */
function quicklist(container: i32, start: usize, end: usize, out: usize, outEnd: usize): usize {
  let p = readLength(start);
  if (p == 0) return 0;
  let o = out;
  while (p < end) {
    let plain = false;
    if (container == QUICKLIST2) {
      p = readLength(p);
      if (p == 0 || p >= end || length < 1 || length > 2) return 0;
      plain = length == 1;
    }
    const next = string(p, end);
    if (next <= p || next > end) return 0;
    if (plain) {
      if (!isInteger && textSize(to - from) > outEnd - o) return 0;
      if (o != out) store<u8>(o++, 0x2c);
      o = writeElement(o);
    } else {
      if (isInteger) return 0;
      o = packed(container == QUICKLIST2 ? LISTPACK : ZIPLIST, 0, from, to, o, outEnd, o == out);
      if (o == 0) return 0;
    }
    p = next;
  }
  return o;
}
