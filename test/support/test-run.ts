import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { until } from './until.js';

/** A run within this process that tells things until it ends, and can be ended. */
export abstract class TestRun<Summary extends object> {
  readonly events: string[] = [];
  readonly notes: string[] = [];
  readonly problems: string[] = [];
  abstract readonly done: Promise<Summary>;
  protected readonly stopping = new AbortController();
  protected readonly aborting = new AbortController();

  /** What else it has told. */
  protected abstract get told(): unknown;

  /** For the constructor: `start` gets a spool folder, which is removed when the run has ended. */
  protected started(start: (folder: string) => Promise<Summary>): Promise<Summary> {
    const folder = mkdtempSync(join(tmpdir(), 'rdbkit-sync-'));
    const done = start(folder).finally(() => rmSync(folder, { recursive: true, force: true }));
    done.catch(() => undefined);
    return done;
  }

  /** The text of the error that it ends with. */
  get failure(): Promise<string> {
    return this.done.then(
      () => 'none',
      (error: unknown) => String(error),
    );
  }

  /** Looks again and again until it is so. Throws what the run ends with before, and what it has told. */
  async until(what: string, test: () => boolean, patience?: number): Promise<void> {
    let over = false;
    const told = (): string => {
      const { events, notes, problems } = this;
      return inspect({ told: this.told, events, notes, problems }, { depth: 6 });
    };
    const ended = this.done.then((summary) => {
      throw new Error(`the run has ended before ${what}: ${inspect(summary, { depth: 5 })} ${told()}`);
    });
    try {
      await Promise.race([until(`${what} (a run)`, () => over || test(), patience), ended]);
    } catch (error) {
      throw error instanceof Error && error.message.startsWith('given up') ? new Error(`${error.message}: ${told()}`) : error;
    } finally {
      over = true;
    }
  }

  stop(): Promise<Summary> {
    this.stopping.abort();
    return this.done;
  }

  abort(): Promise<unknown> {
    this.aborting.abort(new Error('aborted by the test'));
    return this.done.catch((error: unknown) => error);
  }
}
