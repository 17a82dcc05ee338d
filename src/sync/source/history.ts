/** Where a server stands in its replication history, from the section `replication` of INFO. */
export interface SourceHistory {
  readonly role: string;
  /** Of the history that its writes belong to now, and the offset of the last one. */
  readonly id: string;
  readonly offset: number;
  /** The history before that one, which it had as a replica or before a restart, and its end there; empty and 0 if there is none. */
  readonly earlierId: string;
  readonly earlierEnd: number;
  /**
   * Offsets of the first and the last byte that it keeps for replicas, with `to` = `from` - 1 if there is none yet; undefined if it
   * does not keep any. `full`: it has dropped what came before.
   */
  readonly backlog: { readonly from: number; readonly to: number; readonly full: boolean } | undefined;
}

/** Undefined if the text does not tell. */
export function historyOf(info: string): SourceHistory | undefined {
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const number = (name: string): number | undefined => {
    const value = Number(field(name) ?? NaN);
    return Number.isSafeInteger(value) ? value : undefined;
  };
  const [role, id, offset] = [field('role'), field('master_replid'), number('master_repl_offset')];
  if (role === undefined || id === undefined || offset === undefined || !ID.test(id)) return undefined;
  const [first, length] = [number('repl_backlog_first_byte_offset'), number('repl_backlog_histlen')];
  const keeps = field('repl_backlog_active') === '1' && first !== undefined && length !== undefined;
  const full = length !== undefined && length >= (number('repl_backlog_size') ?? 0);
  const earlierId = field('master_replid2') ?? '';
  const second = number('second_repl_offset') ?? 0;
  const hasEarlier = ID.test(earlierId) && !/^0*$/.test(earlierId) && second > 0;
  return {
    ...{ role, id, offset },
    ...(hasEarlier ? { earlierId, earlierEnd: second - 1 } : { earlierId: '', earlierEnd: 0 }),
    backlog: keeps ? { from: first, to: first + length - 1, full } : undefined,
  };
}

const ID = /^[0-9a-f]{40}$/;

/** A history that a log has writes of. */
export interface LoggedHistory {
  readonly id: string;
  /** The offset of the last byte of it in the log. */
  readonly end: number;
}

/** What the source no longer has. */
export interface Gap {
  readonly kind: 'gap';
  /** Id of the history, and the first offset that was asked for. */
  readonly id: string;
  readonly wanted: number;
  /** Offsets of the first and the last byte that the source keeps, if it tells. */
  readonly have: { readonly from: number; readonly to: number } | undefined;
  /** A clause about the source. */
  readonly reason: string;
}

/** The source has less of a history than was received of it: the log goes on from `to`, and what was between is no longer so. */
export interface Rewound {
  readonly kind: 'rewound';
  /** The end of the log before and now. */
  readonly from: number;
  readonly to: number;
  /** Id of the history that offsets up to `to` belong to. */
  readonly id: string;
}

/** Whether a source can go on after the end of a log, by which history. `wait`: not yet, for a reason. */
export type Continuation =
  | { readonly kind: 'continues'; readonly id: string }
  | { readonly kind: 'wait'; readonly reason: string }
  | Rewound
  | Gap;

/**
 * What PSYNC would be answered with, so that no fork is caused in vain (redis replication.c, masterTryPartialResynchronization).
 * `logged`: the histories of the log in order, not empty; each goes on where the one before it ends.
 */
export function continuation(source: SourceHistory, logged: readonly LoggedHistory[]): Continuation {
  const { end, id } = logged[logged.length - 1];
  const { backlog } = source;
  const gap = (reason: string, have = backlog): Gap => ({ kind: 'gap', id, wanted: end + 1, have, reason });
  const common = commonEnd(source, logged);
  if (common === undefined) return gap(stranger(source, id));
  if (backlog === undefined) return gap('it keeps no writes for replicas that come back (repl_backlog_active is 0)');
  if (common.end + 1 < backlog.from) return gap(tooLate(common.end + 1, backlog));
  if (common.end > backlog.to) {
    const less = `it is at offset ${backlog.to}, ${bytes(common.end - backlog.to)} before the last write that was received`;
    return source.role === 'master' ? gap(`${less}: it was set back, as if to an older copy of itself`) : { kind: 'wait', reason: less };
  }
  return common.end === end ? { kind: 'continues', id: common.id } : { kind: 'rewound', from: end, to: common.end, id: common.id };
}

/** Up to where the log has what the source has, by the latest history that both know. */
function commonEnd(source: SourceHistory, logged: readonly LoggedHistory[]): LoggedHistory | undefined {
  for (const { end, id } of logged.toReversed()) {
    if (id === source.id) return { id, end };
    if (id === source.earlierId) return { id, end: Math.min(end, source.earlierEnd) };
  }
  return undefined;
}

function stranger({ earlierEnd, earlierId, id }: SourceHistory, wanted: string): string {
  const before = earlierId === '' ? '' : `, and was ${earlierId} up to offset ${earlierEnd}`;
  return `it has another history: its replication id is ${id}${before}, not ${wanted}`;
}

function tooLate(wanted: number, { from, full }: NonNullable<SourceHistory['backlog']>): string {
  const why = full ? 'raise repl-backlog-size' : 'it was restarted, or had no replica for longer than repl-backlog-ttl';
  return `it keeps its writes from offset ${from} on only, and ${bytes(from - wanted)} before that are gone: ${why}`;
}

const bytes = (count: number): string => (count === 1 ? '1 byte' : `${count} bytes`);
