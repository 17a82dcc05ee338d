/**
 * Outcomes of a function library. `same`: exists with the same code; `kept`: exists with other code, which stays; `unknown`: may
 * exist, the server does not tell.
 */
export const LIBRARY_OUTCOMES = ['loaded', 'written', 'replaced', 'same', 'kept', 'refused', 'leftOut', 'unknown'] as const;
export type LibraryOutcome = (typeof LIBRARY_OUTCOMES)[number];

export interface LibraryOn {
  /** `host:port`; empty if it was sent to no server. */
  readonly server: string;
  readonly outcome: LibraryOutcome;
}

/** A function library of a source, and its outcomes. */
export interface Library {
  readonly file: string;
  /** In the text form; empty if its code does not have it. */
  readonly name: string;
  readonly outcomes: LibraryOn[];
}

/** Records the outcome of a library. Earlier outcomes stay: it may be loaded once more after an interruption. */
export function noteLibrary(libraries: Library[], file: string, name: string, on: LibraryOn): void {
  let library = libraries.find((other) => other.file === file && other.name === name);
  if (library === undefined) libraries.push((library = { file, name, outcomes: [] }));
  if (!library.outcomes.some(({ server }) => server === on.server)) library.outcomes.push(on);
}
