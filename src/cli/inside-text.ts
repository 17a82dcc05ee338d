import type { Inside, ShownField, ShownText, Some } from '../commands/diff-terms.js';
import { bytesText, countText, timeText } from './numbers.js';
import { keyText } from './printable.js';

/** What differs inside a value, as lines for people, each with two spaces before it. */
export function insideLines(inside: Inside): string[] {
  return linesOf(inside).map((line) => `  ${line}`);
}

function linesOf(inside: Inside): string[] {
  switch (inside.is) {
    case 'string':
      return [
        `from byte ${countText(inside.at)} on; ${sides(inside, ({ from, length, text }) => {
          return `${counted(length, 'byte')}, from ${countText(from)}: ${keyText(text)}`;
        })}`,
      ];
    case 'list':
      return [
        `from element ${countText(inside.at)} on; ${sides(inside, ({ element, length }) => {
          return `${counted(length, 'element')}, ${element === undefined ? 'none there' : shownText(element)}`;
        })}`,
      ];
    case 'set':
      return onlyLines('member', inside, shownText);
    case 'hash':
      return [
        ...onlyLines('field', inside, shownText),
        ...listed('field with another value or expiry', inside.other, (one) => `${shownText(one.field)}: ${sides(one, fieldText)}`),
      ];
    case 'zset':
      return [
        ...onlyLines('member', inside, ({ member, score }) => `${shownText(member)}, score ${score}`),
        ...listed('another score', inside.other, (one) => `${shownText(one.member)}: ${sides(one, String)}`),
      ];
    case 'stream':
      return [
        ...onlyLines('entry', inside, String),
        ...listed('other fields', inside.other, (id) => `entry ${id}`),
        ...(inside.parts.length === 0 ? [] : [`also other: ${inside.parts.join(', ')}`]),
      ];
    case 'large':
      return [`not looked into; ${sides(inside, ({ bytes, digest }) => `${bytesText(bytes)}, digest ${digest}`)}`];
    case 'same':
      return ['the same by now: it has changed since it was compared'];
    case 'gone':
      return [`the ${inside.side} does not have it any more`];
    case 'type':
      return [`another type by now; ${sides(inside, String)}`];
  }
}

const counted = (count: number, unit: string): string => `${countText(count)} ${unit}${count === 1 ? '' : 's'}`;

const sides = <T>({ source, target }: { readonly source: T; readonly target: T }, text: (side: T) => string): string =>
  `source: ${text(source)}; target: ${text(target)}`;

const shownText = (text: ShownText): string =>
  typeof text === 'string' ? keyText(text) : `${keyText(text.start)}… (${countText(text.bytes)} bytes)`;

const fieldText = ({ expireAt, value }: ShownField): string =>
  shownText(value) + (expireAt === undefined ? '' : ` (expires ${timeText(expireAt)})`);

function onlyLines<T>(
  what: string,
  { onlySource, onlyTarget }: { readonly onlySource: Some<T>; readonly onlyTarget: Some<T> },
  text: (one: T) => string,
): string[] {
  return [...listed(`${what} only on the source`, onlySource, text), ...listed(`${what} only on the target`, onlyTarget, text)];
}

function listed<T>(what: string, { first, more }: Some<T>, text: (one: T) => string): string[] {
  return [...first.map((one) => `${what}: ${text(one)}`), ...(more === 0 ? [] : [`${what}: ${countText(more)} more`])];
}
