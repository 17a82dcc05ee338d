import type { Frame } from '../rdb/frame.js';
import { HeldPayload } from './held-payload.js';
import type { Rejected } from './outcomes.js';

/** A value that never is on its way to a server: the key is told when all parts of it have come, with what was put aside of them. */
export class RefusedValue {
  private rejected: Rejected | undefined;

  constructor(private readonly tell: (rejected: Rejected) => void) {}

  /** `frame` is the part with which it was refused: its payload has that already. */
  begin(rejected: Rejected, frame: Frame): void {
    this.close();
    this.rejected = rejected;
    this.endWith(frame);
  }

  /** The next part. */
  add(frame: Frame): void {
    const { payload } = this.rejected ?? {};
    if (payload instanceof HeldPayload) payload.add(frame);
    this.endWith(frame);
  }

  private endWith({ last }: Frame): void {
    const { rejected } = this;
    if (!last || rejected === undefined) return;
    this.rejected = undefined;
    this.tell(rejected);
  }

  /** The rest of it does not come. */
  close(): void {
    const { payload } = this.rejected ?? {};
    if (payload instanceof HeldPayload) payload.close();
    this.rejected = undefined;
  }
}
