import { Readable } from 'node:stream';
import { rdbkit } from './cli-support.js';

/** A stream whose second element says that it is 0x15 bytes long. */
export const DEADLY = Buffer.from(
  '0f0110000000000000000200000000000000024055550000000f00010100150201883100000000000000098832000000000000000900010001000100010202883100000000' +
    '000000098861000000000000000988320000000000000009886200000000000000090801ff0a010000090006fb44240a8e75ea',
  'hex',
);

interface Report {
  valid: boolean;
  type: string;
  key: string;
  error?: { code: string; got: string };
}

/** What `payload check --json` says of each. */
export async function check(payloads: readonly Uint8Array[]): Promise<Report[]> {
  const text = payloads.map((payload, i) => `${JSON.stringify({ db: 0, key: `${i}`, payload: Buffer.from(payload).toString('base64') })}\n`).join('');
  const { out } = await rdbkit(['payload', 'check', '--json'], { stdin: Readable.from([Buffer.from(text)]) });
  return out.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Report);
}
