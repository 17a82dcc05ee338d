import { createInterface } from 'node:readline/promises';
import type { Io } from './io.js';

/** The line typed; empty if input ends or a signal arrives. The terminal edits the line, so that Ctrl-C is a signal. */
export async function answerTo(question: string, { signal, stderr, stdin }: Io): Promise<string> {
  const asked = createInterface({ input: stdin, output: stderr, terminal: false });
  const closed = new Promise<undefined>((resolve) => asked.once('close', () => resolve(undefined)));
  const stop = (): void => asked.close();
  signal?.addEventListener('abort', stop);
  try {
    const answer = await Promise.race([asked.question(question), closed]);
    if (answer === undefined) stderr.write('\n'); // nobody pressed Enter
    return (answer ?? '').trim();
  } finally {
    signal?.removeEventListener('abort', stop);
    asked.close();
  }
}
