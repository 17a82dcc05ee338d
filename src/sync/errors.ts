/** A sync cannot go on, and another attempt of the same kind would not help. */
export class SyncError extends Error {
  override readonly name: string = 'SyncError';

  constructor(
    /** The source master, by its name in messages. */
    readonly lane: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`${lane}: ${reason}`, { cause });
  }
}

/** Writes of the source that the target does not have cannot be had any more: only a full copy helps. */
export class SyncGap extends SyncError {
  override readonly name = 'SyncGap';
}

/** Another run of the same sync has begun. */
export class SyncReplaced extends SyncError {
  override readonly name = 'SyncReplaced';

  constructor(lane: string) {
    super(lane, 'another run of this sync has begun, so this one ends');
  }
}
