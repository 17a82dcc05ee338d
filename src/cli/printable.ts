/**
 * Escapes text for a terminal. Keys, file names and system messages about them may contain anything: control characters that move
 * the cursor or change colours, newlines that fake a message of ours, marks that reverse the reading direction.
 */

/** Control and format characters (bidi, zero width, byte order), line and paragraph separators, lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text on one line, with everything unsafe as a JSON escape. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (unsafe) => SHORT[unsafe] ?? escaped(unsafe));
}

function escaped(character: string): string {
  let out = '';
  for (let i = 0; i < character.length; i++) out += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return out;
}

/** The text as a JSON string; also escapes what JSON allows unescaped. */
export function quoted(text: string): string {
  return printable(JSON.stringify(text));
}

/** Characters of a key shown in a message. */
const SHOWN = 256;

/** A key for messages: it may have megabytes. */
export function keyText(key: string): string {
  return key.length <= SHOWN ? quoted(key) : `${quoted(key.slice(0, SHOWN))}… (${key.length.toLocaleString('en')} characters)`;
}

/** Unambiguous words as they are, all others in quotes. */
export function word(text: string): string {
  return /^[\p{L}\p{N}\p{M}\\/._+:@%=~-]+$/u.test(text) ? text : quoted(text);
}

/** The name of a source for messages. */
export function sourceName(file: string): string {
  return file === '-' ? 'standard input' : word(file);
}
