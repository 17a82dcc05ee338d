/** What the command line needs to know of a sync before the modules that talk to servers are loaded. */
import type { ServiceName } from './preflight.js';
import type { Events } from '../sync/told/told-link.js';
import type { SyncPhase } from './sync.js';

export { SyncError, SyncGap, SyncReplaced } from '../sync/errors.js';
export { RECORD_PREFIX } from '../sync/record.js';
export type { StatusBoard } from '../status/board.js';
export type { LaneFields, StatusFields } from '../status/fields.js';
export type { ListenAddress } from '../status/server.js';

export const SYNC_PHASES = ['both', 'full', 'changes'] as const satisfies readonly SyncPhase[];
/** Sources that one sync may have. */
export const MOST_SOURCES = 30;
/** When a sync ends by itself. */
export const UNTIL = ['caught-up'] as const;
/** What becomes of expiries until the sync ends: see sync/commands/expiries.ts. */
export const EXPIRIES = ['held', 'exact'] as const;
/** When a write counts as certain: once replicas of the target have it, or once its master has answered. */
export const CONFIRMS = ['wait', 'answered'] as const;
/** How a source that is read by scan tells which keys are written: see sync/told/told-link.ts. */
export const EVENTS = ['tracking', 'notifications'] as const satisfies readonly Events[];
/** What to do where the source no longer has the writes since. */
export const ON_GAP = ['stop', 'full'] as const;
/** Services for migration that `--check` knows the published limits of. */
export const SERVICE_NAMES = ['elasticache-online-migration'] as const satisfies readonly ServiceName[];
/** Rules of the preflight that end a sync before it writes, unless they are ignored: it would fail on the way, or lose keys. */
export const STOPPING = ['slots', 'databases', 'memory', 'modules', 'functions', 'output-buffer'] as const;
