/** Types of fields and of the elements of lists, in the compact protocol of Thrift. */
const TRUE = 1;
const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/**
 * Writes a struct in Thrift's compact protocol (thrift-compact-protocol.md of Apache Thrift), as far as Parquet's metadata needs it:
 * fields come in rising order, numbers are not negative, lists are of structs, numbers or texts.
 */
export class ThriftStruct {
  private readonly bytes: number[] = [];
  private last = 0;

  i32(id: number, value: number): this {
    this.field(id, I32);
    varint(value * 2, this.bytes);
    return this;
  }

  i64(id: number, value: number): this {
    this.field(id, I64);
    varint(value * 2, this.bytes);
    return this;
  }

  /** A boolean that is true. */
  yes(id: number): this {
    this.field(id, TRUE);
    return this;
  }

  binary(id: number, value: Uint8Array | string): this {
    this.field(id, BINARY);
    binary(value, this.bytes);
    return this;
  }

  struct(id: number, value: ThriftStruct): this {
    this.field(id, STRUCT);
    this.append(value);
    return this;
  }

  structs(id: number, values: readonly ThriftStruct[]): this {
    this.list(id, STRUCT, values.length);
    for (const value of values) this.append(value);
    return this;
  }

  i32s(id: number, values: readonly number[]): this {
    this.list(id, I32, values.length);
    for (const value of values) varint(value * 2, this.bytes);
    return this;
  }

  texts(id: number, values: readonly string[]): this {
    this.list(id, BINARY, values.length);
    for (const value of values) binary(value, this.bytes);
    return this;
  }

  /** The whole struct. Nothing can be added after it. */
  get whole(): Uint8Array {
    return Uint8Array.from([...this.bytes, 0]);
  }

  private append({ bytes }: ThriftStruct): void {
    for (const byte of bytes) this.bytes.push(byte);
    this.bytes.push(0);
  }

  private list(id: number, of: number, size: number): void {
    this.field(id, LIST);
    if (size < 15) {
      this.bytes.push((size << 4) | of);
    } else {
      this.bytes.push(0xf0 | of);
      varint(size, this.bytes);
    }
  }

  private field(id: number, type: number): void {
    this.bytes.push(((id - this.last) << 4) | type);
    this.last = id;
  }
}

function varint(value: number, to: number[]): void {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) to.push((rest % 0x80) | 0x80);
  to.push(rest);
}

function binary(value: Uint8Array | string, to: number[]): void {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  varint(bytes.length, to);
  for (const byte of bytes) to.push(byte);
}
