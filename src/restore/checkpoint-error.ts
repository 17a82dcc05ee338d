/** A checkpoint that does not fit what is to be done, or is none. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}
