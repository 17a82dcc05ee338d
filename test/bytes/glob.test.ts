import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileGlob } from '../../src/bytes/glob.js';

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

function fits(pattern: string, key: string): boolean {
  return compileGlob(latin1(pattern))(latin1(key), 0, key.length);
}

/** Pattern, keys that KEYS found with it and keys that it did not find; one character a byte. From a Redis 7.0.15 on x86-64. */
const SERVER: readonly (readonly [pattern: string, found: readonly string[], notFound: readonly string[]])[] = [
  ['', [''], ['\x00', '\x01', '\x0a', '!', '\\c]', 'c']],
  ['*', ['*', '*b', 'A', '\\*', 'a*', '\x7f'], []],
  ['**', ['*', '*b', '\\*', 'a*', 'a[', '\xc3'], ['']],
  ['?', ['\x00', '\x01', '\x0a', '?', ']', '\xa9'], ['', '!a', '*b', '-]', '\\*', 'aXc']],
  ['a', ['a'], ['!a', '\\a', 'a\x00', 'a*', 'aXc', 'c]']],
  ['a*', ['a', 'a\x00', 'a\x00b', 'a*', 'a*b', 'abcabc'], ['\x0a', '!a', '*', '*b', '\\*', '^']],
  ['a**', ['a', 'a\x00', 'a\x00b', 'a\x0ab', 'a*', 'a*b'], ['!a', '*', '*b', '\\*', '\xa9', '\xfe']],
  ['*a', ['!a', '\\a', 'a', 'aa', 'aba'], ['*', '*b', 'a*', 'a*b', 'a\\', 'c-]']],
  ['*a*', ['!a', 'a', 'a*', 'a*b', 'a\\', 'abcabc'], ['\x00', '*', '*b', '\\*', '`', 'c]']],
  ['?*', ['*', '*b', '?', '\\*', 'abcabc', '\xc3'], ['']],
  ['*?', ['\x0a', '*', '*b', '?', '\\*', '\xc3\xa9'], ['']],
  ['a?c', ['aXc', 'abc'], ['!a', '?', ']', 'a', 'c', '{']],
  ['*ab*', ['aab', 'ab', 'aba', 'abc', 'abcabc'], ['*', '*b', 'a*', 'a*b', '{', '}']],
  ['*a*b', ['a\x00b', 'a\x0ab', 'a*b', 'a]b', 'aab', 'ab'], ['*', '*b', 'a', 'a*', 'axbxc', 'b']],
  ['a*b*c', ['abc', 'abcabc', 'axbxc'], ['*b', '`', 'a*', 'a*b', 'ab', '\xa9']],
  ['[abc]', ['a', 'b', 'c'], ['A', '[a]', '`', 'a[', 'a]b', 'abc']],
  ['[^abc]', ['\x00', '?', '[', ']', '^', '`'], ['[a]', '^]', 'a]b', 'abc', 'c', '\xc3\xa9']],
  ['[!a]', ['!', 'a'], ['!a', '-', 'Z', '[a]', 'a[', 'a]']],
  ['[a-c]', ['a', 'b', 'c'], ['-]', '[a]', 'a[', 'a]b', 'aab', 'c-]']],
  ['[c-a]', ['a', 'b', 'c'], ['-]', '[a]', 'a[', 'c-]', '\xc3', '\xe9\xe9']],
  ['[^a-c]', ['\x00', '-', '?', '[', ']', '^'], ['-]', '[a]', '^]', 'a*b', 'b[', 'c-]']],
  ['[^c-a]', ['-', 'A', '[', '\\', ']', '^'], ['-]', '[a]', '^]', 'a*', 'a]]', 'c-]']],
  ['[', [], ['\x00', '[', ']a]', 'a[', 'aa', 'b[']],
  ['[^', ['\x00', '\x01', '[', '^', '`', '}'], ['-]', '[a]', '^]', 'a\x00', 'a[', 'b[']],
  ['[]', [], ['-]', '[', '[a]', ']', '\x7f', '\xff']],
  ['[^]', ['\x00', '[', ']', '^', 'a', '\xff'], ['-]', '[a]', '\\]', '^]', 'a\x00b', 'a*']],
  ['[]a]', [], ['[', '[a]', 'a*', 'a[', 'a]', 'axbxc']],
  ['[^]a]', ['[a]', ']a]'], ['[', '\\', '^]', 'a[', 'a]', 'ab']],
  ['[ab', ['a', 'b'], ['Z', '[', 'a[', 'aab', 'ab', 'b[']],
  ['[^ab', ['\x00', '\x01', '-', '[', '^', '`'], ['[a]', 'a[', 'a]', 'ab', 'b[', 'x\x00']],
  ['a[', [], ['?', 'Ab', '[', '[a]', 'a', 'a[']],
  ['*[', [], ['\x0a', '*', '*b', '[', '\\*', '\xc3']],
  ['[a-', ['-', 'a'], ['!a', '[', '[a]', 'a[', '{', '\xc3']],
  ['[a-]', [']', '^', '`', 'a'], ['-]', '[a]', 'aXc', 'a[', 'a]', '\xa9']],
  ['[a-]b', [']', '^', '`', 'a', 'b'], ['-]', 'A', '[a]', 'a[', 'a]b', 'axbxc']],
  ['[a-]b]', [']', '^', '`', 'a', 'b'], ['-]', '[a]', 'a\x00', 'a[', 'a]b', '\xfe']],
  ['[-]', ['-'], ['-]', '[', '[a]', ']', 'ab', 'b']],
  ['[-a]', ['-', 'a'], ['-]', '[a]', 'a\x0ab', 'a[', 'a]', '\xc3\xa9']],
  ['[a-c-z]', ['-', 'a', 'b', 'c', 'z'], ['-]', 'Ab', '[a]', '\\c]', 'a[', 'c-]']],
  ['[--a]', ['-', '?', '[', ']', '`', 'a'], ['-]', '[a]', 'a\x00', 'a[', 'a]', 'a]]']],
  ['[^-a]', ['\x00', '\x01', '[', ']', '^', '\xc3'], ['-]', 'Ab', '[a]', '^]', 'a*b', 'a[']],
  ['[^^]', ['\x00', '\x01', 'Z', '[', ']', '\xc3'], ['-]', '[a]', ']a]', '^', '^]', 'abcabc']],
  ['[a^]', ['^', 'a'], ['[a]', '^]', 'a\x00b', 'a[', 'a]', '{a,b}']],
  ['[\\]]', [']'], ['[', '[a]', '\\', '\\]', 'a\x00', 'b']],
  ['[\\', ['\\'], ['!', '[', '\\*', '\\]', '\\a', '^]']],
  ['[a\\', ['\\', 'a'], ['[', '\\a', 'a[', 'a\\', 'bb', '\x7f']],
  ['[\\^a]', ['^', 'a'], ['[a]', '\\]', '\\a', '^]', 'b', 'b]']],
  ['[\\a-c]', ['-', 'a', 'c'], ['-]', '[a]', '\\c]', 'c-]', '{a,b}', '\xff']],
  ['[a-\\]', ['\\', ']', '^', '`', 'a'], ['\x01', '-]', '[a]', '\\]', '\\a', 'a*b']],
  ['[a-\\]]', ['\\]', '^]', 'a]'], ['-]', '[a]', '\\a', 'a', 'a[', 'x\\']],
  ['[a-\\c]', ['\\', ']', '^', '`', 'a', 'c'], ['-]', 'Z', '[a]', '\\c]', 'a[', 'c-]']],
  ['[\\-a]', ['-', 'a'], ['-]', '[a]', '\\]', '\\a', 'a]', 'abc']],
  ['[^\\]]', ['\x00', '[', '\\', '^', '{', '\x7f'], ['[a]', '\\]', '\\c]', '^]', 'a\x00', 'a[']],
  ['\\', ['\\'], ['\\*', '\\]', '\\a', 'a\\', 'axbxc', 'bb']],
  ['a\\', ['a\\'], ['!a', '\\', '\\a', 'a', 'a\x0ab', 'axbxc']],
  ['\\*', ['*'], ['*b', '\\', '\\*', '\\]', 'a\\', 'a]]']],
  ['\\?', ['?'], ['\x0a', 'Z', '\\', '\\*', '\\]', '\\a']],
  ['\\[', ['['], ['-]', '\\', '\\*', '\\]', '\\a', 'a]']],
  ['\\[a]', ['[a]'], ['\\]', '\\a', 'a*', 'a[', 'a\\', '\xe9\xe9']],
  ['\\a', ['a'], ['!a', '\\', '\\a', 'a\\', 'abc', 'abcabc']],
  ['\\\\', ['\\'], ['Ab', '\\*', '\\]', '\\a', 'a\\', 'a]b']],
  ['\\\\*', ['\\', '\\*', '\\]', '\\a', '\\c]'], ['*', '*b', '-]', 'a', 'a*', 'a\\']],
  ['*\\*', ['*', '\\*', 'a*'], ['*b', '\\', '\\]', '\\a', '^', '\xfe']],
  ['*\\', ['\\', 'a\\', 'x\\'], ['*', '*b', '\\*', '\\]', 'a', '\x7f']],
  ['a\\*b', ['a*b'], ['*b', '\\*', '\\a', 'a*', 'aXc', 'c-]']],
  ['[a-\xff]', ['-', 'Z', '[', ']', 'a', '\xff'], ['-]', '[a]', '\\c]', 'a[', 'a]', 'a]b']],
  ['[\xff-a]', ['\x00', '-', 'A', '[', ']', 'a'], ['-]', '[a]', 'a[', 'a]', 'c]', '\x80']],
  ['[\x80-\xff]', ['\x80', '\xa9', '\xc3', '\xfe', '\xff'], ['', '-', '-]', '[', '[a]', '{']],
  ['[\x00-\x7f]', ['\x00', '*', '-', '[', ']', 'c'], ['-]', '[a]', '\\]', 'abcabc', 'c-]', '\xff']],
  ['[\x00-\xff]', ['\x00', '\xff'], ['-', '-]', 'Ab', 'Z', '[', '[a]']],
  ['[\x7f-\x80]', ['-', '?', '[', ']', 'c', '\x7f'], ['-]', '[a]', '\\]', 'aXc', 'c-]', '{a,b}']],
  ['\xc3?', ['\xc3\xa9'], ['\x00', '\x01', '?', '[', ']a]', '\xc3']],
  ['\xc3*', ['\xc3', '\xc3\xa9'], ['\x01', '*', '*b', '\\*', ']a]', 'a*']],
  ['?\xa9', ['\xc3\xa9'], ['\x00', '\x01', '?', 'a\x00b', 'z', '\xa9']],
  ['a\x00*', ['a\x00', 'a\x00b'], ['\x00', '*', 'a', 'a*', 'c', '\xfe']],
  ['*\x00', ['\x00', 'a\x00', 'x\x00'], ['*', '*b', '[a]', '\\*', 'a*', 'aa']],
  ['[\x00]', ['\x00'], ['-]', 'Ab', '[', '[a]', ']', '\x80']],
  ['*[^a]', ['[a]', '\\c]', '^]', 'a*', 'a[', 'z'], ['', '!a', '\\a', 'a', 'aa', 'aba']],
  ['*[a-c]?', ['[a]', 'a*', 'a[', 'a]', 'aa', 'b]'], ['', '*', '-', '-]', '^]', 'c-]']],
  ['[a*]', ['*', 'a'], ['[a]', 'a*', 'a[', 'a]', 'abcabc', 'c-]']],
  ['[?]', ['?'], ['-]', '[', '[a]', ']', 'a\x00', 'a*']],
  ['{a,b}', ['{a,b}'], ['\x01', 'a', 'a\x00b', 'a\x0ab', 'a]b', 'ab']],
  ['A*', ['A', 'Ab'], ['*', '*b', '-', '\\*', 'a*', 'aXc']],
];

describe('as the server answered', () => {
  test.each(SERVER)('%j', (pattern, found, notFound) => {
    expect(found.filter((key) => !fits(pattern, key))).toEqual([]);
    expect(notFound.filter((key) => fits(pattern, key))).toEqual([]);
  });

  test.each([[1000, true], [1001, false]])('%i stars with bytes behind them', (stars, expected) => {
    expect(fits('*a'.repeat(stars), 'a'.repeat(stars))).toBe(expected);
    expect(fits(`${'*a'.repeat(stars)}*`, 'a'.repeat(stars))).toBe(expected);
    expect(fits(`${'*'.repeat(stars)}a`, 'a')).toBe(true);
  });
});

const byte = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...'aabc]^-\\*\x80\xff') }, { weight: 1, arbitrary: fc.nat(255).map((n) => String.fromCharCode(n)) });
const patternByte = fc.oneof(byte, fc.constantFrom(...'***??[[[]]^-\\'));
const text = fc.array(byte, { maxLength: 10 }).map((letters) => letters.join(''));
const pattern = fc.array(patternByte, { maxLength: 12 }).map((letters) => letters.join(''));

test('any pattern and key: the same as trying everything', () => {
  fc.assert(fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 20 }), (p, keys) => {
    for (const key of keys) expect([key, fits(p, key)]).toEqual([key, tryEverything(p, key)]);
  }), { numRuns: 3000 });
});

test('only the given range is read', () => {
  fc.assert(fc.property(pattern, text, text, text, (p, before, key, after) => {
    const all = latin1(before + key + after);
    expect(compileGlob(latin1(p))(all, before.length, before.length + key.length)).toBe(fits(p, key));
  }));
});

test('the pattern may be overwritten afterwards', () => {
  for (const p of ['abc', 'ab*', '*b?', '[a-c]bc']) {
    const given = latin1(p);
    const test = compileGlob(given);
    given.fill(0);
    expect(test(latin1('abc'), 0, 3)).toBe(true);
  }
});

test('many stars do not take forever', () => {
  const key = 'a'.repeat(20_000);
  const before = performance.now();
  expect(fits('*a*a*a*a*a*a*a*a*a*a*b', key)).toBe(false);
  expect(fits(`${'*a'.repeat(500)}*b`, key)).toBe(false);
  expect(fits(`*${'a?'.repeat(500)}b`, key)).toBe(false);
  expect(performance.now() - before).toBeLessThan(5000);
});

/** The rules as they are told, one element of the pattern a call. Only the empty key is special: only `*` itself and '' fit. */
function tryEverything(p: string, key: string): boolean {
  if (key === '') return p === '' || p === '*';
  return tryFrom(p, key);
}

function tryFrom(p: string, key: string): boolean {
  if (p === '') return key === '';
  if (p.startsWith('*')) return tryFrom(p.slice(1), key) || (key !== '' && tryFrom(p, key.slice(1)));
  if (key === '') return false;
  if (p.startsWith('[')) {
    const negated = p[1] === '^';
    const [members, rest] = readClass(p.slice(negated ? 2 : 1));
    return members.has(key.charCodeAt(0)) !== negated && tryFrom(rest, key.slice(1));
  }
  const escaped = p.startsWith('\\') && p.length > 1;
  const one = escaped ? p[1] : p[0];
  return ((one === '?' && !escaped) || one === key[0]) && tryFrom(p.slice(escaped ? 2 : 1), key.slice(1));
}

function readClass(p: string, members = new Set<number>()): [members: Set<number>, rest: string] {
  if (p === '' || p.startsWith(']')) return [members, p.slice(1)];
  const escape = /^\\(.)/s.exec(p);
  if (escape !== null) return readClass(p.slice(2), members.add(p.charCodeAt(1)));
  if (!/^.-./s.test(p)) return readClass(p.slice(1), members.add(p.charCodeAt(0)));
  const [low, high] = [p.charCodeAt(0), p.charCodeAt(2)].map((code) => (code > 127 ? code - 256 : code)).sort((a, b) => a - b);
  for (let code = low; code <= high; code++) members.add(code & 255);
  return readClass(p.slice(3), members);
}
