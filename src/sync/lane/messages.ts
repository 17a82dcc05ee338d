import { formatText } from '../../bytes/text.js';
import type { ApartReason, NoDatabase } from '../planner.js';

export const unknownText = (name: Uint8Array): string =>
  `neither this program nor the source knows the command ${formatText(name, 0, name.length)}`;

export const noDatabaseText = ({ db, to }: NoDatabase): string =>
  `keys of its database ${db} were written, and the target has no database ${to}: choose databases with --db, or others with --db-map`;

const REASONS: Readonly<Record<ApartReason, string>> = {
  slots: 'its keys are in several slots of the target',
  filter: 'some of its keys are left out',
  fence: 'it reads a key that is newer on the target',
  databases: 'it concerns two databases',
  unknown: 'the target does not know it',
  undeclared: 'it may touch keys that it does not name',
  inexact: 'it may give another value there',
  large: 'one is larger than 32 MB',
  value: 'keys are chosen by their values',
  moved: 'the slot of its keys moves between masters of the source',
};

export const apartText = (lane: string, reason: ApartReason, name: string): string =>
  `${lane}: ${name.toUpperCase()}: ${REASONS[reason]}: the keys that it writes are fetched from the source`;
