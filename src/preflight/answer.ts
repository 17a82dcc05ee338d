import type { Redis } from 'ioredis';
import { reasonOf } from '../redis/errors.js';

/** A question that a server did not answer, as managed services do not answer CONFIG. */
export class Refused {
  constructor(
    readonly command: string,
    readonly reason: string,
  ) {}

  get text(): string {
    return `${this.command} is refused: ${this.reason}`;
  }
}

/** What a server answered, or that it did not. */
export type Answer<T> = T | Refused;

/** Asks; only what is no reply, such as a lost connection, rejects. `name`: of the command, for messages. */
export async function ask<T>(name: string, question: () => Promise<T>): Promise<Answer<T>> {
  try {
    return await question();
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return new Refused(name, reasonOf(error));
    throw error;
  }
}

/** Whether it was refused because the server does not have the command. */
export const isUnknown = (answer: unknown): boolean => answer instanceof Refused && /unknown (?:sub)?command/i.test(answer.reason);

/** The fields of INFO. */
export type Info = ReadonlyMap<string, string>;

/** All of them. */
export async function infoOf(client: Redis): Promise<Answer<Info>> {
  const text = await ask('INFO', () => client.info());
  if (text instanceof Refused) return text;
  return new Map(
    text.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon <= 0 || line.startsWith('#') ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

/** A number of INFO; undefined if it does not have it. */
export function fieldOf(info: Answer<Info>, name: string): number | undefined {
  const text = info instanceof Refused ? undefined : info.get(name);
  return text === undefined || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text);
}

/** A setting. */
export async function configOf(client: Redis, name: string): Promise<Answer<string>> {
  const command = `CONFIG GET ${name}`;
  const reply = await ask(command, () => client.call('CONFIG', 'GET', name));
  if (reply instanceof Refused) return reply;
  const words = Array.isArray(reply) ? reply.map(String) : [];
  return words.length < 2 ? new Refused(command, 'it does not tell this setting') : words[1];
}
