/** Times in UTC as redis-rdb-tools writes them: the ISO form of Python's datetime. */

const DAY = 86_400_000;
/** The first and the last millisecond of the years 1 to 9999, which is what a datetime can hold. */
const FIRST = -62_135_596_800_000;
const LAST = 253_402_300_799_999;

const ZERO = 0x30;
const DASH = 0x2d;
const COLON = 0x3a;
const POINT = 0x2e;
const T = 0x54;

/** The time itself, or the first or last one of these years. */
export function clampTime(time: number): number {
  return Math.min(LAST, Math.max(FIRST, time));
}

/**
 * Writes Unix milliseconds, 26 bytes at most: `2022-12-25T10:11:12.573000`, or `2022-12-25T10:11:12` for a full second. Times before
 * the year 1 and after 9999 become the first and the last one that can be written. Returns the position after it.
 */
export function writeDateTime(time: number, out: Uint8Array, at: number): number {
  const ms = clampTime(time);
  const day = Math.floor(ms / DAY);
  const rest = ms - day * DAY;
  let o = writeDate(day, out, at);
  out[o++] = T;
  const seconds = Math.floor(rest / 1000);
  const minutes = (seconds / 60) | 0;
  const hours = (minutes / 60) | 0;
  o = writeTwo(hours, out, o);
  out[o++] = COLON;
  o = writeTwo(minutes - hours * 60, out, o);
  out[o++] = COLON;
  o = writeTwo(seconds - minutes * 60, out, o);
  const fraction = rest - seconds * 1000;
  if (fraction === 0) return o;
  out[o++] = POINT;
  const hundreds = (fraction / 100) | 0;
  out[o++] = ZERO + hundreds;
  o = writeTwo(fraction - hundreds * 100, out, o);
  out.fill(ZERO, o, o + 3);
  return o + 3;
}

/** Writes the date of a day since 1970. The calendar repeats after 400 years of 146,097 days; a year is counted from March. */
function writeDate(day: number, out: Uint8Array, at: number): number {
  const days = day + 719_468; // since the first of March of the year 0
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = ((dayOfEra - ((dayOfEra / 1460) | 0) + ((dayOfEra / 36_524) | 0) - ((dayOfEra / 146_096) | 0)) / 365) | 0;
  const dayOfYear = dayOfEra - (yearOfEra * 365 + (yearOfEra >> 2) - ((yearOfEra / 100) | 0));
  const month = ((dayOfYear * 5 + 2) / 153) | 0;
  const year = era * 400 + yearOfEra + (month < 10 ? 0 : 1);
  const century = (year / 100) | 0;
  let o = writeTwo(century, out, at);
  o = writeTwo(year - century * 100, out, o);
  out[o++] = DASH;
  o = writeTwo(month < 10 ? month + 3 : month - 9, out, o);
  out[o++] = DASH;
  return writeTwo(dayOfYear - (((month * 153 + 2) / 5) | 0) + 1, out, o);
}

function writeTwo(value: number, out: Uint8Array, o: number): number {
  const tens = (value / 10) | 0;
  out[o] = ZERO + tens;
  out[o + 1] = ZERO + value - tens * 10;
  return o + 2;
}
