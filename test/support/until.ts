import { setTimeout as delay } from 'node:timers/promises';

/** Looks again and again until it is so; slow machines take longer. */
export async function until(what: string, test: () => Promise<boolean> | boolean, patience = 120_000): Promise<void> {
  const end = Date.now() + patience;
  while (!(await test())) {
    if (Date.now() > end) throw new Error(`given up waiting until ${what}`);
    await delay(10);
  }
}
