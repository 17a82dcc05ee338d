import type { ByteBuilder } from '../bytes/builder.js';
import { AUX } from '../rdb/write.js';
import { addLength, addStringOf } from '../rdb/write-string.js';
import { MODULE_EOF, MODULE_UINT } from '../values/module.js';
import { Body } from '../values/types/body.js';
import { addModuleId, addModulePart } from '../values/types/modules.js';
import { Fields, IGNORED, IntegerPlace, type Place, TextPlace, type Unknown, WordPlace } from './places.js';
import { ModulePlaces, partsPlace } from './read-modules.js';
import { bytesOf } from './read-text.js';

const FUNCTION2 = 245;
const MODULE_AUX = 247;

/** What the lines that are no keys say, beside what is written of them. */
export interface MetaEvents {
  /** Returns whether the line is true of what is written. */
  aux(key: string, value: string): boolean;
  /** The last line of a file: how many keys there were. */
  end(keys: number): void;
  /** Something that is not in the output, and why. */
  refuse(reason: string): void;
}

/** A line that is no key: its fields, and what is written of it. */
export interface MetaLine {
  readonly fields: Fields;
  begin(): void;
  write(out: ByteBuilder): void;
}

const type = new WordPlace('a type', () => undefined);
const nothing = (): void => undefined;

/** Hints and bookkeeping of one file, which are not so of another. */
function hint(names: readonly string[], unknown: Unknown): MetaLine {
  const fields = new Fields({ type, ...Object.fromEntries(names.map((name) => [name, IGNORED])) }, ['type'], unknown, nothing);
  return { fields, begin: nothing, write: nothing };
}

/** The lines that `decode --meta` writes beside keys, by type. */
export function metaLines(unknown: Unknown, events: MetaEvents): ReadonlyMap<string, MetaLine> {
  return new Map<string, MetaLine>([
    ['aux', new AuxLine(unknown, events)],
    ['function', new FunctionLine(unknown, events)],
    ['moduleAux', new ModuleAuxLine(unknown)],
    ['end', new EndLine(unknown, events)],
    ['resizeDb', hint(['db', 'keys', 'expires'], unknown)],
    ['slotInfo', hint(['slot', 'keys', 'expires'], unknown)],
    ['slotImport', hint(['job', 'slots'], unknown)],
    ['hashTemplate', hint(['id', 'fields'], unknown)],
  ]);
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

class AuxLine implements MetaLine {
  readonly fields: Fields;
  private key = NO_BYTES;
  private value = NO_BYTES;

  constructor(unknown: Unknown, private readonly events: MetaEvents) {
    const places: Record<string, Place> = {
      type,
      key: new TextPlace((text) => (this.key = bytesOf(text))),
      value: new TextPlace((text) => (this.value = bytesOf(text))),
    };
    this.fields = new Fields(places, ['key', 'value'], unknown, nothing);
  }

  begin(): void {
    this.key = this.value = NO_BYTES;
  }

  write(out: ByteBuilder): void {
    if (!this.events.aux(Buffer.from(this.key).toString('latin1'), Buffer.from(this.value).toString('latin1'))) return;
    out.byte(AUX);
    addStringOf(out, this.key);
    addStringOf(out, this.value);
  }
}

/** A library of functions; those of release candidates of Redis 7.0, which no server loads, have a name of their own. */
class FunctionLine implements MetaLine {
  readonly fields: Fields;
  private code = NO_BYTES;

  constructor(
    unknown: Unknown,
    private readonly events: MetaEvents,
  ) {
    const places: Record<string, Place> = {
      type,
      value: new TextPlace((text) => (this.code = bytesOf(text))),
      name: IGNORED,
      engine: IGNORED,
      description: IGNORED,
    };
    this.fields = new Fields(places, ['value'], unknown, nothing);
  }

  begin(): void {
    this.code = NO_BYTES;
  }

  write(out: ByteBuilder): void {
    if (this.fields.has('engine')) {
      this.events.refuse('a function library of a release candidate of Redis 7.0, which no server loads');
      return;
    }
    out.byte(FUNCTION2);
    addStringOf(out, this.code);
  }
}

class ModuleAuxLine implements MetaLine {
  readonly fields: Fields;
  private readonly type = new ModulePlaces();
  private when = 0n;
  private readonly parts = new Body();

  constructor(unknown: Unknown) {
    const when = new IntegerPlace('1 before the keys, 2 after them', (value) => (this.when = value), 1n, 2n);
    const parts = partsPlace((opcode, element, large) => addModulePart(this.parts, opcode, element, large), unknown);
    this.fields = new Fields({ type, ...this.type.places, when, parts }, ['module', 'version', 'when', 'parts'], unknown, nothing);
  }

  begin(): void {
    this.parts.clear();
  }

  write(out: ByteBuilder): void {
    out.byte(MODULE_AUX);
    addModuleId(out, this.type.type);
    addLength(out, MODULE_UINT);
    addLength(out, Number(this.when));
    for (const piece of this.parts.pieces()) out.copy(piece, 0, piece.length);
    out.byte(MODULE_EOF);
  }
}

class EndLine implements MetaLine {
  readonly fields: Fields;
  private keys = 0;

  constructor(unknown: Unknown, private readonly events: MetaEvents) {
    const keys = new IntegerPlace('a number of keys', (value) => (this.keys = Number(value)));
    this.fields = new Fields({ type, version: IGNORED, checksum: IGNORED, keys }, ['keys'], unknown, nothing);
  }

  begin(): void {
    this.keys = 0;
  }

  write(): void {
    this.events.end(this.keys);
  }
}
