import { unlink } from 'node:fs/promises';
import type { ByteSink } from './byte-sink.js';

/** Outputs that get their names together, when all of them are complete. */
export class JointOutputs {
  private held: HeldSink[] = [];

  /** An output that is settled where it would be committed. */
  hold(sink: ByteSink): ByteSink {
    const held = new HeldSink(sink);
    this.held.push(held);
    return held;
  }

  /** All are complete. Throws OutputError. */
  async commit(): Promise<void> {
    for (const held of this.held) await held.name();
  }

  /** What was written is not wanted: others will be held instead. */
  async discard(): Promise<void> {
    for (const path of await this.abandon()) if (path !== undefined) await unlink(path).catch(() => undefined);
    this.held = [];
  }

  /** Returns where what was written can be found, in the order of `hold`; undefined for what is empty, or was not kept. */
  async abandon(): Promise<(string | undefined)[]> {
    return Promise.all(this.held.map((sink) => sink.abandon()));
  }
}

class HeldSink implements ByteSink {
  readonly patch: ByteSink['patch'];
  private left: Promise<string | undefined> | undefined;

  constructor(private readonly sink: ByteSink) {
    this.patch = sink.patch;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.sink.write(bytes);
  }

  async commit(): Promise<void> {
    await this.sink.settle?.();
  }

  /** Gives it its name. */
  async name(): Promise<void> {
    await this.sink.commit();
    this.left = Promise.resolve(undefined);
  }

  /** Its run may have abandoned it before. */
  abandon(): Promise<string | undefined> {
    return (this.left ??= this.sink.abandon());
  }
}
