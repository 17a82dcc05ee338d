/** `1,234 keys`, `1 key`: whole numbers with commas between thousands. */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${Math.round(n).toLocaleString('en')} ${n === 1 ? one : many}`;
