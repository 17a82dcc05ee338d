import { CHECK } from './check-command.js';
import type { Command } from './command.js';
import { completionCommand } from './completion-command.js';
import { DECODE } from './decode-command.js';
import { DIFF } from './diff-command.js';
import { DUMP } from './dump-command.js';
import { ENCODE } from './encode-command.js';
import { INSPECT } from './inspect-command.js';
import { PAYLOAD_CHECK, PAYLOAD_DECODE } from './payload-command.js';
import { RESTORE } from './restore-command.js';
import { SYNC } from './sync-command.js';

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  DECODE,
  DUMP,
  RESTORE,
  ENCODE,
  CHECK,
  INSPECT,
  DIFF,
  SYNC,
  PAYLOAD_CHECK,
  PAYLOAD_DECODE,
  completionCommand(() => COMMANDS),
];
