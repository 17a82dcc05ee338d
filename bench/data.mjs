// The benchmark's data sets: commands for a redis-server, the same in every run. bench/decode.mjs makes and measures them:
//
//     node bench/decode.mjs --only strings,json --scale 0.1

/** What there is to measure: commands that fill a server. At scale 1 the file has about 250 MB, mixed 530. */
export const dataSets = {
  mixed: { about: 'keys of all types as applications have them', commands: (scale) => mixedCommands(Math.round(1_200_000 * scale)) },
  strings: { about: 'many small strings', commands: (scale) => strings(Math.round(4_600_000 * scale)) },
  json: { about: 'JSON documents of 5 to 200 KB in strings', commands: (scale) => json(Math.round(8_000 * scale)) },
  numbers: { about: 'integer strings, intsets, numeric sorted sets, hashes and lists', commands: (scale) => numbers(Math.round(510_000 * scale)) },
  collections: { about: 'hashes, sets, sorted sets and lists of 10,000 to 1,000,000 elements', commands: (scale) => collections(Math.round(9_400_000 * scale)) },
  blobs: { about: 'binary values of 1 KB to 1 MB that do not compress', commands: (scale) => blobs(Math.round(250e6 * scale)) },
  giant: { about: 'one hash of 3,000,000 fields', commands: (scale) => giant(Math.round(3_000_000 * scale)) },
};

/** Mulberry32: the same numbers from the same seed, everywhere. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));

/** Random numbers and words. */
function dice(seed) {
  const random = generator(seed);
  const int = (from, to) => from + Math.floor(random() * (to - from + 1));
  const letters = (n) => times(n, () => String.fromCharCode(97 + int(0, 25))).join('');
  const vocabulary = times(3000, () => letters(int(3, 9)));
  const word = () => vocabulary[int(0, 2999)];
  const words = (n) => times(n, word).join(' ');
  /** From `from` to `to`, as many between 1 and 10 as between 10 and 100. */
  const size = (from, to) => Math.round(from * (to / from) ** random());
  return { random, int, word, words, size };
}

/** One command for each thousand elements. */
function* inPortions(name, key, count, make) {
  for (let done = 0; done < count; done += 1000) yield [name, key, ...times(Math.min(1000, count - done), (i) => make(done + i)).flat()];
}

/** `count` keys: sessions as JSON, counters, blobs, small and large hashes, lists, sets, sorted sets, streams. */
function* mixedCommands(count) {
  const { random, int, word, words } = dice(1);
  for (let i = 0; i < count; i++) {
    const p = random();
    if (p < 0.35) {
      const roles = times(3, word);
      const value = { id: i, user: word(), email: `${word()}@example.com`, roles, bio: words(int(3, 30)), ts: int(1, 2 ** 40) };
      yield ['SET', `session:${i}`, JSON.stringify(value), ...(random() < 0.5 ? ['EX', int(100000, 10000000)] : [])];
    } else if (p < 0.45) yield ['SET', `counter:${i}`, int(0, 2 ** int(1, 52))];
    else if (p < 0.5) yield ['SET', `blob:${i}`, Buffer.from(times(int(10, 400), () => int(0, 255)))];
    else if (p < 0.7) yield ['HSET', `user:${i}`, ...times(int(2, 14), (j) => [word() + j, random() < 0.7 ? words(int(1, 4)) : int(0, 2 ** 30)]).flat()];
    else if (p < 0.71) yield ['HSET', `bighash:${i}`, ...times(300, (j) => [`field:${j}`, words(6)]).flat()];
    else if (p < 0.8) yield ['RPUSH', `queue:${i}`, ...times(int(1, 40), () => (random() < 0.6 ? words(int(1, 6)) : int(-70000, 2 ** 33)))];
    else if (p < 0.85) yield ['SADD', `tags:${i}`, ...times(int(1, 20), word)];
    else if (p < 0.89) yield ['SADD', `ids:${i}`, ...times(int(1, 60), () => int(0, 2 ** [14, 30, 50][int(0, 2)]))];
    else if (p < 0.97) yield ['ZADD', `rank:${i}`, ...times(int(1, 30), (j) => [random() < 0.5 ? int(0, 1000) : Math.round(random() * 1e6) / 1000, word() + j]).flat()];
    else if (p < 0.975) yield ['ZADD', `bigrank:${i}`, ...times(400, (j) => [random() * 1e6, `member:${j}:${word()}`]).flat()];
    else if (p < 0.98) yield ['SADD', `bigset:${i}`, ...times(500, (j) => `m:${j}:${word()}`)];
    else for (let j = 0; j < int(1, 20); j++) yield ['XADD', `events:${i}`, `${1700000000000 + j * 1000 + 1}-0`, 'type', word(), 'payload', words(5), 'n', j];
  }
}

/** Values of one to ten words, a quarter of them with an expiry. */
function* strings(count) {
  const { random, int, word, words } = dice(2);
  for (let i = 0; i < count; i++) yield ['SET', `${word()}:${i}`, words(int(1, 10)), ...(random() < 0.25 ? ['EX', int(1e6, 1e8)] : [])];
}

/** Arrays of objects, put together from 20,000 of them: text with quotes, escapes and some letters that are not ASCII. */
function* json(count) {
  const { random, int, word, words, size } = dice(3);
  const cities = ['Zürich', 'København', 'São Paulo', '東京', 'Київ', 'London', 'Nairobi', 'Boston'];
  const objects = times(20000, () => {
    const address = { street: `${words(2)} ${int(1, 300)}`, city: cities[int(0, 7)], zip: String(int(10000, 99999)) };
    const note = random() < 0.1 ? `${words(5)}\n"${words(3)}"` : words(int(3, 25));
    const object = { id: int(1, 2 ** 40), name: words(2), email: `${word()}@example.com`, active: random() < 0.5, score: Math.round(random() * 1e5) / 100, address, tags: times(int(0, 5), word), note };
    return JSON.stringify(object);
  });
  for (let i = 0; i < count; i++) {
    const parts = [];
    for (let length = 0, goal = size(5e3, 2e5); length < goal; length += parts.at(-1).length + 1) parts.push(objects[int(0, 19999)]);
    yield ['SET', `document:${i}`, `{"type":"page","number":${i},"items":[${parts.join(',')}]}`];
  }
}

/** Nothing but numbers, of all widths. */
function* numbers(count) {
  const { random, int, size } = dice(4);
  const integer = () => (random() < 0.1 ? -1 : 1) * int(0, 2 ** int(1, 52));
  const decimal = () => Math.round(random() * 1e7) / 100;
  for (let i = 0; i < count; i++) {
    const p = random();
    if (p < 0.35) yield ['SET', `count:${i}`, integer()];
    else if (p < 0.4) yield ['SET', `price:${i}`, decimal()];
    else if (p < 0.6) {
      const most = 2 ** [14, 30, 50][int(0, 2)];
      yield ['SADD', `ids:${i}`, ...times(size(1, 500), () => int(-most, most))];
    } else if (p < 0.75) yield ['ZADD', `rank:${i}`, ...times(size(1, 100), () => [random() < 0.5 ? int(0, 1e6) : decimal(), int(1, 1e8)]).flat()];
    else if (p < 0.76) yield* inPortions('ZADD', `index:${i}`, size(200, 5000), () => [random() < 0.5 ? int(1.6e12, 1.8e12) : random(), int(1, 1e9)]);
    else if (p < 0.95) yield ['HSET', `stats:${i}`, ...times(size(1, 120), (j) => [1000 + j, random() < 0.7 ? integer() : decimal()]).flat()];
    else yield* inPortions('RPUSH', `series:${i}`, size(10, 3000), integer);
  }
}

/** Collections of all sizes, until they have `elements` together. */
function* collections(elements) {
  const { random, int, word, words, size } = dice(5);
  const kinds = [
    ['HSET', 'hash', (i) => [`${word()}:${i}`, words(int(1, 6))]],
    ['SADD', 'set', (i) => `member:${i}:${word()}`],
    ['ZADD', 'zset', (i) => [random() < 0.5 ? int(0, 1e6) : random() * 1e6, `${word()}:${i}`]],
    ['RPUSH', 'list', () => words(int(1, 8))],
  ];
  for (let i = 0, left = elements; left > 0; i++) {
    const [command, name, make] = kinds[i % 4];
    const count = Math.min(left, size(1e4, 1e6));
    yield* inPortions(command, `${name}:${i}`, count, make);
    left -= count;
  }
}

/** Parts of 16 MB of random bytes, until they have `bytes` together. */
function* blobs(bytes) {
  const { random, int, size } = dice(6);
  const pool = Buffer.from(Uint32Array.from({ length: 4 << 20 }, () => random() * 2 ** 32).buffer);
  for (let i = 0, left = bytes; left > 0; i++) {
    const length = size(1e3, 1e6);
    const start = int(0, pool.length - length);
    yield ['SET', `blob:${i}`, pool.subarray(start, start + length)];
    left -= length;
  }
}

function* giant(count) {
  const { int, words } = dice(7);
  yield* inPortions('HSET', 'giant', count, (i) => [`field:${i}`, words(int(5, 14))]);
}
