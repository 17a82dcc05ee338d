interface Line {
  db: number;
  key: string;
  type: string;
  expireAt?: number;
  value: unknown;
}

type Json = Record<string, unknown>;

/**
 * The differences between two decodings. Order matters in lists and streams, not in sets, sorted sets and hashes, nor
 * between keys. Only fields that `truth` has are compared in a stream; of idle, freq and module values nothing is.
 */
export function differences(truth: string, lines: string): string[] {
  const want = load(truth);
  const got = load(lines);
  const found = [...got.twice.map((id) => `twice: ${id}`)];
  for (const [id, w] of want.records) {
    const g = got.records.get(id);
    if (g === undefined) found.push(`missing: ${id}`);
    else if (w.type !== g.type) found.push(`type: ${id}: ${w.type}, ${g.type}`);
    else if (w.expireAt !== g.expireAt) found.push(`expireAt: ${id}: ${w.expireAt}, ${g.expireAt}`);
    else if (!same(w.type, w.value, g.value)) found.push(`value: ${id}: ${short(w.value)}, ${short(g.value)}`);
  }
  for (const id of got.records.keys()) if (!want.records.has(id)) found.push(`extra: ${id}`);
  return found;
}

function load(lines: string): { records: Map<string, Line>; twice: string[] } {
  const records = new Map<string, Line>();
  const twice: string[] = [];
  for (const line of lines.split('\n')) {
    if (line === '') continue;
    const record = JSON.parse(line) as Partial<Line>;
    if (record.key === undefined || record.db === undefined) continue;
    const id = `${record.db} ${JSON.stringify(record.key)}`;
    if (records.has(id)) twice.push(id);
    records.set(id, record as Line);
  }
  return { records, twice };
}

function same(type: string, want: unknown, got: unknown): boolean {
  switch (type) {
    case 'module':
      return true;
    case 'stream':
      return contains(want, got);
    case 'set':
      return Array.isArray(got) && equal([...(want as string[])].sort(), [...(got as string[])].sort());
    default:
      return equal(want, got);
  }
}

/** Whether `got` has all that `want` has. */
function contains(want: unknown, got: unknown): boolean {
  if (Array.isArray(want)) return Array.isArray(got) && want.length === got.length && want.every((item, i) => contains(item, got[i]));
  if (!isObject(want)) return want === got;
  return isObject(got) && Object.keys(want).every((name) => Object.hasOwn(got, name) && contains(want[name], got[name]));
}

function equal(want: unknown, got: unknown): boolean {
  if (Array.isArray(want)) return Array.isArray(got) && want.length === got.length && want.every((item, i) => equal(item, got[i]));
  if (!isObject(want)) return want === got;
  if (!isObject(got)) return false;
  const names = Object.keys(want);
  return names.length === Object.keys(got).length && names.every((name) => Object.hasOwn(got, name) && equal(want[name], got[name]));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function short(value: unknown): string {
  return JSON.stringify([value]).slice(0, 120);
}
