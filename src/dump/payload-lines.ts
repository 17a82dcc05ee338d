import type { Crc64 } from '../bytes/crc64.js';
import { writeBase64 } from '../bytes/json.js';
import type { Frame } from '../rdb/frame.js';
import { PAYLOAD_FOOTER, payloadHead, writeCrc, writePayloadVersion } from '../rdb/payload.js';
import { Base64Stream } from '../json/big-text.js';
import type { LargeValue } from '../io/large-value.js';
import type { DumpSinkOptions } from './dump-sink.js';
import { headSize, writeHead } from '../json/values.js';
import { ascii, JsonWriter } from '../json/writer.js';
import type { Output } from '../io/output.js';
import { SingleOutputSink } from './single-output-sink.js';

const PAYLOAD = ascii(',"payload":"');
const CLOSE = ascii('"}\n');

/** Initial size: records are whole up to a mebibyte, decompressed. */
const RECORD_SIZE = 1 << 21;

/** Keys as JSON lines with their DUMP payload in base64 (docs/dump.md). Payloads of large values are written part by part. */
export class PayloadLines extends SingleOutputSink {
  private readonly json: JsonWriter;
  private readonly crc: Crc64;
  private readonly base64 = new Base64Stream();
  /** Buffer for a payload. */
  private payload: Uint8Array;

  constructor(output: Output, options: DumpSinkOptions) {
    super(output, options);
    this.json = new JsonWriter(output, options.codec);
    this.crc = this.codec.crc64();
    this.payload = this.codec.allocate(RECORD_SIZE);
  }

  protected async takeLarge(value: LargeValue): Promise<void> {
    const { crc, output } = this;
    this.begin(value.head);
    crc.hi = crc.lo = 0;
    const size = this.head(value.head, 0);
    this.add(this.payload, 0, size);
    for await (const piece of value.pieces()) {
      this.add(piece, 0, piece.length);
      await output.flushIfFull();
    }
    this.footer();
    await output.flushIfFull();
  }

  private begin(frame: Frame): void {
    const { json, output } = this;
    output.room(headSize(frame));
    this.mark();
    writeHead(json, this.codec, frame);
    json.bytes(PAYLOAD);
  }

  /** Writes the bytes before the value; makes room for the value and the footer, too. */
  private head(frame: Frame, size: number): number {
    const head = payloadHead(frame);
    const needed = head.length + size + PAYLOAD_FOOTER;
    if (this.payload.length < needed) this.payload = new Uint8Array(needed);
    this.payload.set(head);
    return head.length;
  }

  protected take(frame: Frame): void {
    this.begin(frame);
    const { bytes, end, start } = frame;
    const { crc, json, output } = this;
    const head = this.head(frame, end - start);
    const { payload } = this;
    this.codec.copy(bytes, start, end, payload, head);
    const stop = writePayloadVersion(payload, head + end - start, this.version);
    crc.hi = crc.lo = 0;
    crc.update(payload, 0, stop);
    const size = writeCrc(payload, stop, crc);
    output.room(Math.ceil(size / 3) * 4 + CLOSE.length);
    output.length = writeBase64(payload, 0, size, output.bytes, output.length);
    json.bytes(CLOSE);
    this.unmark();
  }

  /** Adds a part of a large value. */
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
    this.unmark();
  }

  /** Only keys have payloads. */
  meta(frame: Frame): void {
    if (frame.opcode?.name === 'AUX') this.keyAux(frame);
  }

  fileEnd(): void {
    // nothing to write
  }

  protected forget(): void {
    this.base64.clear();
  }

  protected leaveTorn(): void {
    this.output.room(1);
    this.json.byte(0x0a);
  }
}
