import { open, readFile, rename, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { OutputError } from '../../io/output-error.js';

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When it was started, in ticks of the kernel: a pid comes again, in a container even the same one each time. */
  readonly started?: string | undefined;
}

/** Milliseconds in which a lock that was made has its text. */
const WRITING = 200;

/** A file named `lock` that keeps other processes from a folder. One of a process that has ended is taken over. */
export class FolderLock {
  private constructor(
    private readonly path: string,
    private readonly text: string,
  ) {}

  /** Throws OutputError if another process has it. */
  static async take(folder: string): Promise<FolderLock> {
    const path = join(folder, 'lock');
    const holder: Holder = { pid: process.pid, host: hostname(), started: await startOf(process.pid) };
    const lock = new FolderLock(path, `${JSON.stringify(holder)}\n`);
    while (!(await lock.create())) await lock.takeOver();
    return lock;
  }

  private async create(): Promise<boolean> {
    try {
      const file = await open(this.path, 'wx', 0o600);
      await file.writeFile(this.text).finally(() => file.close());
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw OutputError.from(this.path, error);
    }
  }

  /** Moves a lock away whose process has ended. */
  private async takeOver(): Promise<void> {
    const text = (await this.content()) || (await setTimeout(WRITING), await this.content());
    if (text === undefined) return;
    const holder = parse(text);
    if (holder !== undefined && (await isThere(holder))) throw this.taken(holder);
    const away = `${this.path}.${process.pid}.tmp`;
    await rename(this.path, away).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw OutputError.from(this.path, error); // else another process was first, as create() will find
    });
    const moved = await readFile(away, 'utf8').catch(() => text);
    // between reading and renaming another process may have taken the lock over: it gets it back
    if (moved !== text) await rename(away, this.path);
    else await unlink(away).catch(() => undefined);
  }

  private async content(): Promise<string | undefined> {
    try {
      return await readFile(this.path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw OutputError.from(this.path, error);
    }
  }

  private taken({ pid, host }: Holder): OutputError {
    const elsewhere = host === hostname() ? '' : ` on ${host}`;
    const error = new OutputError(this.path, `process ${pid}${elsewhere} uses the folder`);
    error.advice =
      elsewhere === ''
        ? 'Wait for it to end, or stop it.'
        : 'Whether it still runs cannot be seen from here: if it does not, remove the file, and run it again.';
    return error;
  }

  async release(): Promise<void> {
    if ((await this.content().catch(() => undefined)) === this.text) await unlink(this.path).catch(() => undefined);
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

function parse(text: string): Holder | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 1 || typeof host !== 'string') return undefined;
    return { pid, host, started };
  } catch {
    return undefined; // its process was stopped before it was written
  }
}

async function isThere({ pid, host, started }: Holder): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
  }
  const now = await startOf(pid);
  return started === undefined || now === undefined || now === started;
}

/** When a process was started; undefined where there is no /proc (Linux, proc(5): field 22, after the name in parentheses). */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ').at(19);
}
