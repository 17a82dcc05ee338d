import type { Way } from '../live/options.js';
import { type Facts, wayOf } from './facts.js';

/** What comes of a rule: `unknown`, if the server did not say what it has to know. */
export type Outcome = 'ok' | 'warning' | 'stops' | 'unknown';

export interface Verdict {
  readonly outcome: Outcome;
  /** What was found, as a clause. */
  readonly found: string;
  /** What to do, as a sentence without a full stop. */
  readonly advice?: string | undefined;
  /** The server that it is about, where there are several. */
  readonly server?: string | undefined;
}

/** How numbers are written. */
export interface Words {
  readonly bytes: (count: number) => string;
  readonly count: (count: number) => string;
  readonly seconds: (count: number) => string;
}

/** One thing that is held against the servers before anything is copied. */
export interface Rule {
  readonly name: string;
  /** What it is about, in a few words. */
  readonly title: string;
  readonly side: 'source' | 'target' | 'both';
  /** Where it is documented why this matters. */
  readonly source: string;
  /** Whether the plan of a sync says it anyway. */
  readonly inPlan?: boolean;
  /** The one way to read a source that it is about, if it is not about both. */
  readonly way?: Way;
  readonly judge: (facts: Facts, words: Words) => Verdict | readonly Verdict[];
}

export type Finding = Verdict & Pick<Rule, 'name' | 'title' | 'side' | 'source'> & { readonly inPlan: boolean };

/** Those of one rule that say the same of several servers become one. */
export function findingsOf(rules: readonly Rule[], facts: Facts, words: Words): Finding[] {
  const read = wayOf(facts);
  return rules.flatMap(({ inPlan = false, judge, name, side, source, title, way = read }) => {
    if (way !== read) return [];
    const verdicts = [judge(facts, words)].flat();
    const distinct = new Map(verdicts.map((verdict) => [`${verdict.outcome} ${verdict.found}`, verdict]));
    const isOne = distinct.size === 1;
    return [...distinct.values()].map((verdict) => ({
      ...{ name, title, side, source, inPlan },
      ...verdict,
      server: isOne ? undefined : verdict.server,
    }));
  });
}

export const ok = (found: string): Verdict => ({ outcome: 'ok', found });
export const warning = (found: string, advice?: string): Verdict => ({ outcome: 'warning', found, advice });
export const stops = (found: string, advice?: string): Verdict => ({ outcome: 'stops', found, advice });
export const unknown = (found: string, advice?: string): Verdict => ({ outcome: 'unknown', found, advice });
