/** What the command line needs of servers that are sources before the modules that read them are loaded. */
export type { LiveOptions } from '../live/options.js';
export type { LiveFacts } from '../live/facts.js';
export type { LiveRunOptions } from './live-sources.js';
export { replicationNotes } from '../live/replication-plan.js';
export { isServerUrl, redacted, type ServerUrl } from '../redis/url.js';
