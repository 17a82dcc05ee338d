import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { DOUBLE, Element, LARGE } from '../encodings/element.js';
import type { Spill } from '../io/spill.js';
import type { TypeRow } from '../rdb/types.js';
import { addLength } from '../rdb/write-string.js';
import { MODULE_DOUBLE, MODULE_EOF, MODULE_FLOAT, MODULE_SINT, MODULE_STRING, MODULE_UINT, type ModuleType } from '../values/module.js';
import { Body } from '../values/types/body.js';
import { addModulePart, moduleNameBits, ModuleWriter } from '../values/types/modules.js';
import { type LineEncoding, setInteger, type ValueEncoder } from './value-encoder.js';
import {
  ArrayPlace,
  DoublePlace,
  Fields,
  IntegerPlace,
  IntegerTextPlace,
  LEAST_SIGNED,
  MOST_SIGNED,
  MOST_UNSIGNED,
  ObjectPlace,
  type Place,
  TextPlace,
  type Unknown,
  WordPlace,
} from './places.js';

const KINDS = ['sint', 'uint', 'float', 'double', 'string'] as const;

const nothing = (): void => undefined;

/** Takes a part of a module value; with a large string the spill, for which the element stands. */
type TakePart = (opcode: number, element: Element, large: Spill | undefined) => void;

/** Parts of a module value, `{"sint":"1"}` and so on. */
export function partsPlace(take: TakePart, unknown: Unknown): Place {
  const element = new Element();
  const number = (opcode: number, value: number): void => {
    element.kind = DOUBLE;
    element.num = value;
    take(opcode, element, undefined);
  };
  const fields = new Fields(
    {
      sint: new IntegerTextPlace('a signed integer', LEAST_SIGNED, MOST_SIGNED, (value) =>
        take(MODULE_SINT, setInteger(element, value), undefined),
      ),
      uint: new IntegerTextPlace('an unsigned integer', 0n, MOST_UNSIGNED, (value) =>
        take(MODULE_UINT, setInteger(element, value), undefined),
      ),
      float: new DoublePlace((value, place) => {
        if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) throw place.wrong(`${value}, which no float of 32 bits has`);
        number(MODULE_FLOAT, value);
      }),
      double: new DoublePlace((value) => number(MODULE_DOUBLE, value)),
      string: new TextPlace((text) => {
        if (text.element !== undefined) {
          take(MODULE_STRING, text.element, undefined);
          return;
        }
        element.kind = LARGE;
        take(MODULE_STRING, element, text.take());
      }),
    },
    [],
    unknown,
    () => {
      if (KINDS.filter((kind) => fields.has(kind)).length !== 1)
        throw new RdbError('BAD_LINE', { expected: `one of ${KINDS.join(', ')}`, got: 'none or several' });
    },
  );
  return new ArrayPlace('an array of module parts', new ObjectPlace('a module part: an object', () => fields.begin()), nothing, nothing);
}

/** The name of a type or class of a module. */
class ModuleNamePlace extends WordPlace {
  constructor(length: number, set: (name: string) => void) {
    super(`a name of ${length} letters, digits, - and _`, (word, place) => {
      if (word.length !== length || /[^\w-]/.test(word)) throw place.wrong(JSON.stringify(word.slice(0, 20)));
      set(word);
    });
  }
}

const NAME_LENGTH = 9;
const MOST_VERSION = 1023n;

/** `module` and `version` of a type. */
export class ModulePlaces {
  private name = '';
  private version = 0;
  readonly places: { readonly module: Place; readonly version: Place } = {
    module: new ModuleNamePlace(NAME_LENGTH, (name) => (this.name = name)),
    version: new IntegerPlace('the version of a module format', (version) => (this.version = Number(version)), 0n, MOST_VERSION),
  };

  get type(): ModuleType {
    const { name, version } = this;
    return { name, version };
  }
}

export class ModuleEncoder implements ValueEncoder {
  readonly place: Place;
  private readonly writer: ModuleWriter;
  private readonly type = new ModulePlaces();

  constructor(encoding: LineEncoding) {
    const { unknown } = encoding;
    const writer = (this.writer = new ModuleWriter(encoding));
    const parts = partsPlace((opcode, element, large) => writer.modulePart(opcode, element, large), unknown);
    const fields = new Fields({ ...this.type.places, parts }, ['module', 'version', 'parts'], unknown, () => writer.module(this.type.type));
    this.place = new ObjectPlace('a module value: an object', () => fields.begin());
  }

  begin(): void {
    this.writer.open();
  }

  finish(head: ByteBuilder): TypeRow {
    return this.writer.finish(head);
  }
}

/** The four characters that name a class of metadata; version and flags are the lowest 8 bits (redis keymeta.c). */
const CLASS_LENGTH = 4;

/** What module classes attached to a key (Redis 8.6): held in memory. */
export class KeyMetaEncoder {
  readonly place: Place;
  private readonly parts = new Body();
  private count = 0;

  constructor(unknown: Unknown) {
    let [name, version, flags] = ['', 0n, 0n];
    const body = new Body();
    const fields = new Fields(
      {
        module: new ModuleNamePlace(CLASS_LENGTH, (word) => (name = word)),
        version: new IntegerPlace('the version of a class', (value) => (version = value), 0n, 31n),
        flags: new IntegerPlace('flags', (value) => (flags = value), 0n, 7n),
        parts: partsPlace((opcode, element, large) => addModulePart(body, opcode, element, large), unknown),
      },
      ['module', 'version', 'flags', 'parts'],
      unknown,
      () => {
        this.count++;
        this.parts.out.le(Number(BigInt.asIntN(32, (moduleNameBits(name) << 8n) | (version << 3n) | flags)), 4);
        for (const piece of body.pieces()) this.parts.out.copy(piece, 0, piece.length);
        this.parts.out.byte(MODULE_EOF);
      },
    );
    const begin = (): Fields => {
      body.clear();
      return fields.begin();
    };
    this.place = new ArrayPlace('an array of key metadata', new ObjectPlace('metadata of a module: an object', begin), nothing, nothing);
  }

  begin(): void {
    this.parts.clear();
    this.count = 0;
  }

  /** As stored after its opcode; undefined if there is none. */
  finish(out: ByteBuilder): Uint8Array | undefined {
    if (this.count === 0) return undefined;
    out.clear();
    addLength(out, this.count);
    out.copy(this.parts.out.bytes, 0, this.parts.out.length);
    return out.view();
  }
}
