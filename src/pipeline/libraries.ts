/**
 * What becomes of a function library: `same` is there already, with the same code; `kept` is there with other code, which stays;
 * `unknown` may be there: the server does not say.
 */
export const LIBRARY_OUTCOMES = ['loaded', 'written', 'replaced', 'same', 'kept', 'refused', 'leftOut', 'unknown'] as const;
export type LibraryOutcome = (typeof LIBRARY_OUTCOMES)[number];

export interface LibraryOn {
  /** `host:port`; empty where it came to no server. */
  readonly server: string;
  readonly outcome: LibraryOutcome;
}

/** A function library of a source, and what became of it. */
export interface Library {
  readonly file: string;
  /** In the text form; empty where its code does not say it. */
  readonly name: string;
  readonly outcomes: LibraryOn[];
}

/** Adds what became of a library. What is known of it already stays: it may be loaded once more after an interruption. */
export function noteLibrary(libraries: Library[], file: string, name: string, on: LibraryOn): void {
  let library = libraries.find((other) => other.file === file && other.name === name);
  if (library === undefined) libraries.push((library = { file, name, outcomes: [] }));
  if (!library.outcomes.some(({ server }) => server === on.server)) library.outcomes.push(on);
}
