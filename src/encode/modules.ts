import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import type { TypeRow } from '../rdb/types.js';
import { addLength } from '../rdb/write-string.js';
import { MODULE_CHARSET, MODULE_DOUBLE, MODULE_EOF, MODULE_FLOAT, MODULE_SINT, MODULE_STRING, MODULE_UINT } from '../values/module.js';
import { Body } from '../values/writers/body.js';
import { addText, type LineEncoding, type ValueEncoder } from './encoding.js';
import { Fields, type Unknown } from './fields.js';
import { DoublePlace, IntegerPlace, IntegerTextPlace, LEAST_SIGNED, MOST_SIGNED, MOST_UNSIGNED } from './number-places.js';
import { ArrayPlace, ObjectPlace, type Place, TextPlace, WordPlace } from './places.js';
import { addUnsigned } from './stream-ids.js';

const KINDS = ['sint', 'uint', 'float', 'double', 'string'] as const;

const nothing = (): void => undefined;

const float = new DataView(new ArrayBuffer(4));

/** Parts of a module value, `{"sint":"1"}` and so on, written to a body as they come (redis rdb.c, rdbLoadCheckModuleValue). */
export function partsPlace(body: Body, unknown: Unknown): Place {
  const { out } = body;
  const part = (opcode: number): ByteBuilder => {
    body.flushIfFull();
    addLength(out, opcode);
    return out;
  };
  const fields = new Fields(
    {
      sint: new IntegerTextPlace('a signed integer', LEAST_SIGNED, MOST_SIGNED, (value) => addUnsigned(part(MODULE_SINT), value)),
      uint: new IntegerTextPlace('an unsigned integer', 0n, MOST_UNSIGNED, (value) => addUnsigned(part(MODULE_UINT), value)),
      float: new DoublePlace((value, place) => {
        if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) throw place.wrong(`${value}, which no float of 32 bits has`);
        float.setFloat32(0, value, true);
        part(MODULE_FLOAT).le(float.getInt32(0, true), 4);
      }),
      double: new DoublePlace((value) => part(MODULE_DOUBLE).double(value)),
      string: new TextPlace((text) => {
        part(MODULE_STRING);
        addText(body, text);
      }),
    },
    [],
    unknown,
    () => {
      if (KINDS.filter((kind) => fields.has(kind)).length !== 1) throw new RdbError('BAD_LINE', { expected: `one of ${KINDS.join(', ')}`, got: 'none or several' });
    },
  );
  return new ArrayPlace('an array of module parts', new ObjectPlace('a module part: an object', () => fields.begin()), nothing, nothing);
}

/** A name of so many characters of 6 bits, the first in the highest ones. */
export class ModuleNamePlace extends WordPlace {
  constructor(length: number, set: (bits: bigint) => void) {
    super(`a name of ${length} letters, digits, - and _`, (word, place) => {
      if (word.length !== length || /[^\w-]/.test(word)) throw place.wrong(JSON.stringify(word.slice(0, 20)));
      set(Array.from(word).reduce((bits, letter) => (bits << 6n) | BigInt(MODULE_CHARSET.indexOf(letter)), 0n));
    });
  }
}

/** The nine characters that name a type of a module, and the version of its format, make one number (module.c, moduleTypeEncodeId). */
const NAME_LENGTH = 9;
const MOST_VERSION = 1023n;

/** `module` and `version` of a type. */
export class ModuleId {
  private name = 0n;
  private version = 0n;
  readonly places: { readonly module: Place; readonly version: Place } = {
    module: new ModuleNamePlace(NAME_LENGTH, (name) => (this.name = name)),
    version: new IntegerPlace('the version of a module format', (version) => (this.version = version), 0n, MOST_VERSION),
  };

  write(out: ByteBuilder): void {
    addUnsigned(out, (this.name << 10n) | this.version);
  }
}

/** A value of a module (7). */
export class ModuleEncoder implements ValueEncoder {
  readonly place: Place;
  private readonly id = new ModuleId();

  constructor(private readonly encoding: LineEncoding) {
    const { body, unknown } = encoding;
    const fields = new Fields({ ...this.id.places, parts: partsPlace(body, unknown) }, ['module', 'version', 'parts'], unknown, nothing);
    this.place = new ObjectPlace('a module value: an object', () => fields.begin());
  }

  begin(): void {
    // nothing is kept
  }

  finish(head: ByteBuilder): TypeRow {
    const { encoding } = this;
    this.id.write(head);
    encoding.body.out.byte(MODULE_EOF);
    return encoding.choose('MODULE_2');
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
    let [name, version, flags] = [0n, 0n, 0n];
    const body = new Body();
    const fields = new Fields(
      {
        module: new ModuleNamePlace(CLASS_LENGTH, (bits) => (name = bits)),
        version: new IntegerPlace('the version of a class', (value) => (version = value), 0n, 31n),
        flags: new IntegerPlace('flags', (value) => (flags = value), 0n, 7n),
        parts: partsPlace(body, unknown),
      },
      ['module', 'version', 'flags', 'parts'],
      unknown,
      () => {
        this.count++;
        this.parts.out.le(Number(BigInt.asIntN(32, (name << 8n) | (version << 3n) | flags)), 4);
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

  /** As it stands behind its opcode; undefined where there is none. */
  finish(out: ByteBuilder): Uint8Array | undefined {
    if (this.count === 0) return undefined;
    out.clear();
    addLength(out, this.count);
    out.copy(this.parts.out.bytes, 0, this.parts.out.length);
    return out.view();
  }
}
