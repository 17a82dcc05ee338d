import { keyId, type KeyName } from '../fences.js';
import type { LaneOptions } from './lane-options.js';

/** Keys that could not be brought to the target: each is told once for each reason in a row. */
export class Problems {
  /** By key: the reason that was told last. */
  private readonly rejected = new Map<string, string>();

  constructor(private readonly onProblem: LaneOptions['onProblem']) {}

  tell(name: KeyName, reason: string): void {
    const id = keyId(name.db, name.key);
    if (this.rejected.get(id) === reason) return;
    this.rejected.set(id, reason);
    this.onProblem({ ...name, reason });
  }

  tellUndeclared(db: number, name: string): void {
    const reason = `${name.toUpperCase()} may have written keys that it does not name: compare with rdbkit diff`;
    this.tell({ db, key: Buffer.alloc(0) }, reason);
  }
}
