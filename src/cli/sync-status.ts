import { redacted } from '../commands/live-terms.js';
import type { SyncOptions } from '../commands/sync.js';
import type { ListenAddress, StatusBoard } from '../commands/sync-terms.js';
import { printable } from './printable.js';
import { UsageError } from './usage.js';
import { version } from './version.js';

/** Where a sync answers how it stands. */
export interface StatusPlace {
  readonly board: StatusBoard;
  /** Lines to say where it is. */
  readonly lines: readonly string[];
  close(): void;
}

/** Opens what `--status` asks for; its modules are loaded only then. Throws UsageError. */
export async function openStatus(
  address: ListenAddress | undefined,
  syncs: readonly [SyncOptions, ...SyncOptions[]],
): Promise<StatusPlace | undefined> {
  if (address === undefined) return undefined;
  const [{ phase, spool, spoolMax, untilCaughtUp, url }] = syncs;
  const names = syncs.map(({ sources: [source] }) => source);
  const { StatusBoard, StatusServer } = await import('../commands/sync-status.js');
  const board = new StatusBoard({
    ...{ version: version(), source: names.join(', '), target: redacted(url) },
    sources: names.length > 1 ? names : undefined,
    until: phase === 'full' ? 'copied' : untilCaughtUp === true ? 'caught-up' : undefined,
    spoolMax: spool === undefined ? undefined : spoolMax,
  });
  const server = await StatusServer.open(board, address).catch((error: unknown) => {
    throw new UsageError(`--status ${textOf(address)}: ${reasonOf(error)}`, { cause: error });
  });
  const open = 'warning: --status is not of this machine alone: whoever reaches it sees names of keys, and there is no login.';
  return {
    board,
    lines: [`status: ${server.url}`, ...(isLocal(address) ? [] : [open])],
    close: () => server.close(),
  };
}

const isLocal = ({ host }: ListenAddress): boolean => host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

const textOf = ({ host, port }: ListenAddress): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there: choose another port',
  EACCES: 'the system does not allow this port: choose one from 1024 on',
  EADDRNOTAVAIL: 'this machine does not have this address: 127.0.0.1 is for itself alone, 0.0.0.0 for all its addresses',
  ENOTFOUND: 'there is no host of this name',
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error));
  const code = 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? printable(error.message);
}
