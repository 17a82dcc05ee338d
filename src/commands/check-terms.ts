/** What the command line needs to know of a check before the parts of it are loaded that read. */
export { CHECK_LEVELS, type CheckLevel, findingError } from '../check/findings.js';
