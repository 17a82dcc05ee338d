import type { Crc64 } from '../bytes/crc64.js';
import { writeBase64 } from '../bytes/json.js';
import { type Frame, RECORD } from '../rdb/frame.js';
import { PAYLOAD_FOOTER, payloadHead, writeCrc, writePayloadVersion } from '../rdb/payload.js';
import { Base64Stream } from './base64-stream.js';
import { DumpSink, type DumpSinkOptions } from './dump-sink.js';
import { headSize, writeHead } from './json-head.js';
import { ascii, JsonWriter } from './json-writer.js';
import type { Output } from './output.js';

const PAYLOAD = ascii(',"payload":"');
const CLOSE = ascii('"}\n');

/** Records come whole up to a mebibyte, decompressed. */
const RECORD_SIZE = 1 << 21;

/**
 * Keys as JSON lines with the payload that DUMP gives for them, in base64 (docs/dump.md). Payloads of large values are written as
 * their parts come.
 */
export class PayloadLines extends DumpSink {
  private readonly json: JsonWriter;
  private readonly crc: Crc64;
  private readonly base64 = new Base64Stream();
  /** A payload is put together here. */
  private payload: Uint8Array;

  private inLine = false;
  /** Where the line at hand begins in the output, and how much had been handed on before it. */
  private lineAt = 0;
  private lineFlushed = 0;

  constructor(
    private readonly output: Output,
    options: DumpSinkOptions,
  ) {
    super(options);
    this.json = new JsonWriter(output, options.hot);
    this.crc = this.hot.crc64();
    this.payload = this.hot.allocate(RECORD_SIZE);
  }

  protected take(kind: number, frame: Frame): void {
    if (frame.first) this.begin(frame);
    if (kind === RECORD) {
      this.record(frame);
      return;
    }
    const { bytes, end, start } = frame;
    if (frame.first) {
      const { payload } = this;
      this.crc.hi = this.crc.lo = 0;
      this.add(payload, 0, this.head(frame, 0));
    }
    this.add(bytes, start, end);
    if (frame.last) this.footer();
  }

  private begin(frame: Frame): void {
    const { json, output } = this;
    output.room(headSize(frame));
    this.inLine = true;
    this.lineAt = output.length;
    this.lineFlushed = output.flushed;
    writeHead(json, this.hot, frame);
    json.bytes(PAYLOAD);
  }

  /** What stands before the value; makes room for the value and the footer behind it, too. */
  private head(frame: Frame, size: number): number {
    const head = payloadHead(frame);
    const needed = head.length + size + PAYLOAD_FOOTER;
    if (this.payload.length < needed) this.payload = new Uint8Array(needed);
    this.payload.set(head);
    return head.length;
  }

  private record(frame: Frame): void {
    const { bytes, end, start } = frame;
    const { crc, json, output } = this;
    const head = this.head(frame, end - start);
    const { payload } = this;
    this.hot.copy(bytes, start, end, payload, head);
    const stop = writePayloadVersion(payload, head + end - start, this.version);
    crc.hi = crc.lo = 0;
    crc.update(payload, 0, stop);
    const size = writeCrc(payload, stop, crc);
    output.room(Math.ceil(size / 3) * 4 + CLOSE.length);
    output.length = writeBase64(payload, 0, size, output.bytes, output.length);
    json.bytes(CLOSE);
    this.inLine = false;
  }

  /** Of a value in parts. */
  private add(bytes: Uint8Array, start: number, end: number): void {
    this.crc.update(bytes, start, end);
    this.base64.write(bytes, start, end, this.output);
  }

  private footer(): void {
    const { base64, crc, json, output, payload } = this;
    this.add(payload, 0, writePayloadVersion(payload, 0, this.version));
    base64.write(payload, 0, writeCrc(payload, 0, crc), output);
    base64.end(output);
    output.room(CLOSE.length);
    json.bytes(CLOSE);
    this.inLine = false;
  }

  protected async settleTaken(): Promise<void> {
    await this.output.flushIfFull();
  }

  /** Only keys have payloads. */
  meta(frame: Frame): void {
    if (frame.opcode?.name === 'AUX') this.keyAux(frame);
  }

  fileEnd(): void {
    // nothing to write
  }

  get full(): boolean {
    return this.output.full;
  }

  get written(): number {
    return this.output.flushed;
  }

  flush(): Promise<void> {
    return this.output.flush();
  }

  protected takeBack(): boolean {
    if (!this.inLine) return true;
    this.inLine = false;
    this.base64.clear();
    if (this.lineFlushed === this.output.flushed) {
      this.output.length = this.lineAt;
      return true;
    }
    this.output.room(1);
    this.json.byte(0x0a);
    return false;
  }

  async end(): Promise<void> {
    await this.output.flush();
    await this.output.written();
  }
}
