import type {
  CopyFields,
  History,
  LaneFields,
  LaneNow,
  NamedProblem,
  Sample,
  StatusFacts,
  StatusFields,
  StatusNow,
} from './fields.js';

/** Samples kept: a quarter of an hour. */
export const MOST_SAMPLES = 900;
/** Problems named, and characters of a key or reason, at most. */
const MOST_NAMED = 20;
const MOST_TEXT = 500;
/** Seconds that a connection may be lost before the sync is unwell: a failover takes less. */
const PATIENCE = 10;

/** Where a sync stands, and where it stood, for those who ask. */
export class StatusBoard {
  private readonly startedAt = Date.now();
  private at = this.startedAt;
  private fields: StatusFields = { phase: 'connecting', seconds: 0, problems: 0, lanes: [] };
  private copy: CopyFields | undefined;
  private samples: Sample[] = [];
  private named: NamedProblem[] = [];
  /** In seconds since the beginning. */
  private lostSince: ReadonlyMap<string, number> = new Map();
  private detachedSince: ReadonlyMap<string, number> = new Map();

  constructor(private readonly facts: StatusFacts) {}

  /** Called each second. */
  take(fields: StatusFields, copy: CopyFields, at = Date.now()): void {
    const { lanes, phase, seconds } = fields;
    this.at = at;
    this.fields = fields;
    // one that took less than a second was never the phase; a run that goes on has none
    const { bytesRead, keys, totalBytes } = copy;
    if (phase === 'full' || bytesRead > 0) this.copy = { keys, bytesRead, totalBytes };
    this.lostSince = since(this.lostSince, seconds, lanes, ({ connected }) => !connected);
    this.detachedSince = since(this.detachedSince, seconds, phase === 'changes' ? lanes : [], ({ attached }) => !attached);
    this.samples.push({
      at,
      lagSeconds: Math.max(0, ...lanes.map(({ lagSeconds }) => lagSeconds)),
      lagBytes: lanes.reduce((sum, { lagBytes = 0 }) => sum + lagBytes, 0),
      opsPerSecond: phase === 'full' ? undefined : fields.opsPerSecond,
      keysPerSecond: phase === 'full' ? fields.keysPerSecond : undefined,
    });
    if (this.samples.length > MOST_SAMPLES) this.samples.shift();
  }

  /** A key that could not be brought over. */
  name({ db, key, reason }: Omit<NamedProblem, 'at'>): void {
    this.named.unshift({ at: Date.now(), db, key: key === undefined ? undefined : cut(key), reason: cut(reason) });
    this.named.length = Math.min(this.named.length, MOST_NAMED);
  }

  /** The copy begins again: what was wrong with keys is told again. */
  clear(): void {
    this.named = [];
  }

  get now(): StatusNow {
    const { at, copy, facts, fields, named, startedAt } = this;
    const lanes = fields.lanes.map((lane): LaneNow => {
      const { name } = lane;
      return { ...lane, lostFor: this.secondsSince(this.lostSince, name), detachedFor: this.secondsSince(this.detachedSince, name) };
    });
    return { ...facts, startedAt, at, unwell: unwell(fields.phase, lanes), ...fields, copy, lanes, lastProblems: named };
  }

  get history(): History {
    return { startedAt: this.startedAt, samples: this.samples };
  }

  private secondsSince(since: ReadonlyMap<string, number>, name: string): number | undefined {
    const from = since.get(name);
    return from === undefined ? undefined : Math.round((this.fields.seconds - from) * 1000) / 1000;
  }
}

/** Since when each lane is so, in seconds since the beginning. */
function since(
  before: ReadonlyMap<string, number>,
  seconds: number,
  lanes: readonly LaneFields[],
  is: (lane: LaneFields) => boolean,
): ReadonlyMap<string, number> {
  return new Map(lanes.filter(is).map(({ name }) => [name, before.get(name) ?? seconds]));
}

function unwell(phase: string, lanes: readonly LaneNow[]): string | undefined {
  if (phase === 'connecting') return 'connecting to source and target';
  const of = (what: string, name: string, seconds: number): string => `${what} ${name} for ${Math.floor(seconds)} s`;
  for (const { detachedFor = 0, lostFor = 0, name } of lanes) {
    if (lostFor >= PATIENCE) return of('no connection to', name, lostFor);
    if (detachedFor >= PATIENCE) return of('no connection to the target for the writes of', name, detachedFor);
  }
  return undefined;
}

const cut = (text: string): string => (text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text);
