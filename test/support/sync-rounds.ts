import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Counters } from './counters.js';
import { randomFrom } from './fault-proxy.js';
import { Running } from './processes.js';
import type { RedisNode } from './redis-node.js';
import { untilAlike } from './sync-support.js';
import { until } from './until.js';

/** RDBKIT_TEST_ROUNDS may ask for more; RDBKIT_TEST_SEED for others. */
export const roundsOf = (few: number): number => Number(process.env.RDBKIT_TEST_ROUNDS ?? few);
export const SEED = Number(process.env.RDBKIT_TEST_SEED ?? 1);

export interface SyncRoundsOptions {
  readonly source: RedisNode;
  /** Where the source is reached (default: its own URL). */
  readonly sourceUrl?: string;
  /** Where the target is reached. */
  readonly url: string;
  /** The masters of the target now. */
  readonly masters: () => Promise<readonly RedisNode[]>;
  /** More options of the program. */
  readonly args?: readonly string[];
  readonly perSecond?: number;
}

/** Commands of Counters that are written while the program does not run: 60 bytes each on average, so that a backlog of 1 MB has all. */
const WHILE_DOWN = 10_000;

/** The program as a process of its own, which is killed and started again, while counters are written to its source. */
export class SyncRounds {
  readonly counters: Counters;
  readonly random = randomFrom(SEED);
  /** What all its runs have said. */
  said = '';
  private running: Running | undefined;
  private readonly spool = mkdtempSync(join(tmpdir(), 'rdbkit-sync-'));

  constructor(private readonly options: SyncRoundsOptions) {
    this.counters = new Counters([options.source], { keys: 40, seed: SEED, perSecond: options.perSecond ?? 3000 });
  }

  get process(): Running {
    if (this.running === undefined) throw new Error('the program does not run');
    return this.running;
  }

  /** Starts it. */
  start(...more: string[]): Running {
    const { args = [], source, sourceUrl = source.url, url } = this.options;
    const given = ['sync', sourceUrl, url, '--yes', '--spool', this.spool, '--id', 'rounds', '--on-gap', 'stop'];
    this.running = new Running([...given, ...args, ...more]);
    return this.running;
  }

  /** Another process of the same sync, with a spool of its own. */
  startOther(url: string): Running {
    const spool = mkdtempSync(join(this.spool, 'other-'));
    return new Running(['sync', this.options.source.url, url, '--yes', '--spool', spool, '--id', 'rounds', '--on-gap', 'stop']);
  }

  /** kill -9. From then on until it follows again, only so much is written as the smallest backlog of these tests holds. */
  async kill(): Promise<void> {
    this.counters.limit(WHILE_DOWN);
    const { err } = await this.process.kill();
    this.said += err;
    this.running = undefined;
  }

  /** Until writes from now on are applied. */
  async follows(): Promise<void> {
    const { masters, source } = this.options;
    await this.process.said(/applying the writes since|going on where an earlier run ended/);
    this.counters.unlimit();
    const sign = `sign:${Math.floor(this.random() * 1e9)}`;
    await until('there is a key to be written', () =>
      source.client.set(sign, '1').then(
        () => true,
        () => false,
      ),
    );
    await until(
      `the sync follows: ${this.process.err}`,
      async () => {
        if (!this.process.runs) throw new Error(`it has ended: ${this.process.err}`);
        const found = await Promise.all((await masters()).map(({ client }) => client.exists(sign).catch(() => 0)));
        return found.includes(1);
      },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${this.process.err}`);
    });
  }

  /** Counters stand still; until the target has all of them as the source. */
  check(): Promise<void> {
    return this.checkWith(this.process);
  }

  async checkWith(running: Running): Promise<void> {
    await this.counters.stop();
    await untilAlike([this.options.source], await this.options.masters()).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${running.err}`);
    });
    this.counters.start();
  }

  /** Rounds in which one of these happens; after each, the target is to be what the source is. RDBKIT_TEST_ONLY chooses some. */
  async play(faults: Readonly<Record<string, () => Promise<unknown>>>, few: number): Promise<void> {
    this.start();
    await this.follows();
    this.counters.start();
    const only = new RegExp(process.env.RDBKIT_TEST_ONLY ?? '');
    const names = Object.keys(faults).filter((name) => only.test(name));
    const passed = new Map<string, number>();
    let [copies, before] = [0, await this.copies()];
    const asked = process.env.RDBKIT_TEST_ROUNDS !== undefined;
    for (let round = 0; round < roundsOf(few); round++) {
      let name = names[round % names.length];
      await delay(this.below(400));
      try {
        await faults[name]();
        if (process.env.RDBKIT_TEST_PAIRS !== undefined) {
          const other = names[this.below(names.length)];
          await delay(this.below(3) * this.below(1000));
          name = `${name} + ${other}`;
          await faults[other]();
        }
        await this.follows();
        await this.check();
      } catch (error) {
        throw new Error(`round ${round}, ${name}: ${String(error)}`, { cause: error });
      }
      passed.set(name, (passed.get(name) ?? 0) + 1);
      const now = await this.copies();
      copies += now.run === before.run ? now.full - before.full : now.full; // a restarted server counts from 0
      before = now;
      if (asked) console.log(round, name, copies);
    }
    if (asked) console.log(passed, this.counters.answered, `full copies: ${copies}`);
    await this.counters.stop(); // nothing is in flight then
    const wrong = await this.counters.wrong([this.options.source]);
    if (wrong.length > 0) throw new Error(`the source has not what was written to it: ${wrong.join('; ')}`);
  }

  /** How many full copies the source has sent in its present run. */
  private async copies(): Promise<{ run: string; full: number }> {
    const info = await this.options.source.client.info();
    return { run: /^run_id:(\w+)/m.exec(info)?.[1] ?? '', full: Number(/^sync_full:(\d+)/m.exec(info)?.[1]) };
  }

  /** A number in [0, most). */
  below(most: number): number {
    return Math.floor(this.random() * most);
  }

  /** Counters and the program. */
  async stop(): Promise<void> {
    await this.counters.stop();
    if (this.running !== undefined) await this.kill();
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.spool, { recursive: true, force: true });
  }
}

/** Ends the link of the source to its replicas. */
export const endSourceLink = ({ client }: RedisNode): Promise<unknown> => client.call('CLIENT', 'KILL', 'TYPE', 'replica');

/** Ends the connections of the sync to a master of its target. */
export async function endTargetConnections({ client }: RedisNode): Promise<void> {
  const lines = String(await client.call('CLIENT', 'LIST')).split('\n');
  for (const line of lines) {
    if (line.includes(' name=rdbkit:sync:')) await client.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '');
  }
}
