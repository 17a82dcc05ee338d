/** What the command line needs to check a restore before the modules that talk to servers are loaded. */
import type { RestoreConflict } from '../restore/outcomes.js';
import type { SanitizeLevel } from '../restore/sanitizer.js';


export { type Address, addressText, isServerUrl, parseAddress, parseServerUrl, type ServerUrl } from '../redis/url.js';
export type { Access } from '../redis/connect.js';
export type { Login } from '../redis/sentinels.js';
export { ServerError, type ServerErrorCode } from '../redis/errors.js';
export { slotRanges } from '../bytes/crc16.js';
export { OUTCOMES, type RestoreCounts } from '../restore/outcomes.js';
export { type Manifest, ManifestError, readManifest, slotsMissing, type SourceManifest } from '../pipeline/manifest.js';
export { endedWell } from '../restore/summary.js';
export { CheckpointError } from '../restore/checkpoint-error.js';

/** With what keys are written: RESTORE, or the commands that clients use. */
export const WRITE_AS = ['restore', 'commands'] as const;

export const RESTORE_CONFLICTS = ['error', 'skip', 'replace'] as const satisfies readonly RestoreConflict[];
export const SANITIZE_LEVELS = ['auto', 'all', 'none'] as const satisfies readonly SanitizeLevel[];
