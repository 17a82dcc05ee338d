import type { Library, LibraryOutcome } from '../commands/terms.js';
import { countText } from './numbers.js';
import { keyText, printable, sourceName } from './printable.js';

type Words = Readonly<Record<LibraryOutcome, string>>;

const LEFT_OUT = 'left out, since only some keys are chosen (--functions includes them)';
const NOW: Words = {
  loaded: 'loaded',
  written: 'written',
  replaced: 'replaced',
  same: 'already the same',
  kept: 'kept with other code',
  refused: 'refused',
  leftOut: LEFT_OUT,
  unknown: 'unknown',
};
const PLANNED: Words = {
  ...NOW,
  loaded: 'to load',
  replaced: 'to replace',
  kept: 'to keep, with other code',
  refused: 'not possible',
  unknown: 'to load; what the target has is unknown (FUNCTION LIST is refused)',
};

/** Names shown for each outcome; `--json` has all. */
const MOST_SHOWN = 20;

interface LibrariesText {
  /** Whether the outcomes are predictions. */
  readonly planned: boolean;
  readonly sources: readonly string[];
  /** Whether libraries are left out because an option says so. */
  readonly unwanted: boolean;
}

/** `function libraries: "a", "b" loaded; "c" replaced`; no line if there are none. */
export function librariesLines(libraries: readonly Library[], { planned, sources, unwanted }: LibrariesText): string[] {
  if (libraries.length === 0) return [];
  const words = { ...(planned ? PLANNED : NOW), ...(unwanted ? { leftOut: 'left out' } : {}) };
  const groups = new Map<string, string[]>();
  for (const library of libraries) {
    const fate = fateOf(library, words);
    const name = `${keyText(library.name)}${sources.length === 1 ? '' : ` of ${sourceName(library.file)}`}`;
    groups.set(fate, [...(groups.get(fate) ?? []), name]);
  }
  const texts = [...groups].map(([fate, names]) => {
    const more = names.length > MOST_SHOWN ? ` and ${countText(names.length - MOST_SHOWN)} more` : '';
    return `${names.slice(0, MOST_SHOWN).join(', ')}${more} ${fate}`;
  });
  return [`function libraries: ${texts.join('; ')}`];
}

/** If outcomes differ between masters, each master is named. */
function fateOf({ outcomes }: Library, words: Words): string {
  const found = [...new Set(outcomes.map(({ outcome }) => outcome))];
  if (found.length === 1) return words[found[0]];
  return found
    .map(
      (outcome) =>
        `${words[outcome]} on ${outcomes
          .filter((on) => on.outcome === outcome)
          .map(({ server }) => printable(server))
          .join(', ')}`,
    )
    .join(', ');
}

/** For `--json`. */
export function librariesObject(libraries: readonly Library[]): object[] {
  return libraries.map(({ file, name, outcomes }) => {
    const servers = outcomes.filter(({ server }) => server !== '');
    const same = outcomes.every(({ outcome }) => outcome === outcomes[0].outcome);
    return { file, name, outcome: same ? outcomes[0].outcome : 'differs', ...(servers.length === 0 ? {} : { servers }) };
  });
}
