/** Numbers for messages. Units are decimal, as for disks and networks: 1 MB is 1,000,000 bytes. */

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'];

/** Three digits: `8.05 kB`, `540 MB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  let unit = -1;
  let size = bytes;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit++;
  }
  const digits = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}

export const rateText = (bytes: number, seconds: number): string => `${bytesText(seconds > 0 ? bytes / seconds : 0)}/s`;

/** With commas between thousands, in any locale. */
export const countText = (count: number): string => count.toString().replace(/\B(?=(\d{3})+$)/g, ',');

export const keysText = (keys: number): string => `${countText(keys)} ${keys === 1 ? 'key' : 'keys'}`;

export function secondsText(seconds: number): string {
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  return longText(Math.round(seconds));
}

/** Whole seconds. */
export function longText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  if (minutes < 60) return `${minutes} min ${two(rest)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

const two = (value: number): string => value.toString().padStart(2, '0');

/** Unix milliseconds as a date; those beyond what dates reach stay a number. */
export function timeText(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? `${at} ms` : date.toISOString();
}
