import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Address } from './url.js';

/** What is wrong, in words, and what to do about it. */
export interface Diagnosis {
  readonly reason: string;
  readonly advice: string;
}

/** Errors of TLS by what OpenSSL and Node say. */
const TLS_ERRORS: readonly (readonly [RegExp, string, string])[] = [
  [
    /certificate required|peer did not return a certificate/i,
    'it wants a certificate of the client',
    'Give it one: --cert and --key, both files in PEM.',
  ],
  [
    /alert (?:bad certificate|unknown ca|certificate (?:unknown|expired|revoked)|unsupported certificate|access denied|decrypt error)/i,
    'it refuses the certificate of the client',
    'Check that --cert is valid still, and signed by an authority that the server trusts.',
  ],
  [/certificate has expired/i, 'its certificate has expired', 'Renew it on the server; --insecure does not verify it.'],
  [/certificate is not yet valid/i, 'its certificate is not valid yet', 'Compare the clocks; --insecure does not verify it.'],
  [
    /self[- ]signed certificate/i,
    'its certificate, or that of its authority, is self-signed and not trusted here',
    'Trust it with --cacert FILE, a file in PEM; --insecure does not verify it.',
  ],
  [
    /unable to (?:get (?:local )?issuer certificate|verify the first certificate)/i,
    'its certificate is from an authority that is not trusted here',
    'Name the certificate of the authority with --cacert FILE; --insecure does not verify it.',
  ],
  [
    /altnames|Hostname\/IP does not match/i,
    'its certificate is for another name',
    'Use the name in the certificate as host, or name it with --sni NAME; --insecure does not verify it.',
  ],
  [
    /wrong version number|it does not speak TLS|packet length too long|http request|unexpected message/i,
    'it does not speak TLS',
    'Write redis:// instead of rediss://, if it is a Redis server.',
  ],
  [
    /unsupported protocol|protocol version|no shared cipher|handshake failure|no protocols available/i,
    'it has no TLS version or cipher in common with this client',
    'Allow TLS 1.2 or later on the server (tls-protocols, tls-ciphers).',
  ],
];

/** What an error of TLS means; undefined for other errors. */
export function tlsDiagnosis(text: string): Diagnosis | undefined {
  const known = TLS_ERRORS.find(([pattern]) => pattern.test(text));
  if (known === undefined) return undefined;
  const [, reason, advice] = known;
  const names = /(?:cert's altnames: |list: |cert's CN: )(.+?)\.?$/i.exec(text)?.[1];
  return { reason: names === undefined ? reason : `${reason}: ${names}`, advice };
}

/** Milliseconds that a server has to answer what it is asked only to find out what it is. */
const PROBE = 1500;

const NO_REDIS: Diagnosis = { reason: 'what answers is not a Redis server', advice: 'Check host and port.' };
const HTTP: Diagnosis = { reason: 'a web server answers, not a Redis server', advice: 'Check the port.' };
const NEEDS_TLS: Diagnosis = { reason: 'it speaks TLS', advice: 'Write rediss:// instead of redis://.' };
/** The reason why TLS fails where there is none: see TLS_ERRORS. */
export const WITHOUT_TLS = 'it does not speak TLS';

/** The first bytes that a server sends after `PING`, as latin-1; empty if there are none in time. */
function answerToPing(address: Address): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectPlain({ ...address, timeout: PROBE }, () => socket.write('PING\r\n'));
    const over = (text: string): void => {
      socket.destroy();
      resolve(text);
    };
    socket.on('data', (chunk) => over(chunk.toString('latin1')));
    for (const event of ['error', 'timeout', 'close'] as const) socket.on(event, () => over(''));
  });
}

/** Whether a server begins TLS with us, even if it refuses us then. */
function speaksTls(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ ...address, timeout: PROBE, rejectUnauthorized: false });
    const over = (speaks: boolean): void => {
      socket.destroy();
      resolve(speaks);
    };
    socket.on('secureConnect', () => over(true));
    socket.on('error', ({ message }: Error) => over(/alert/i.test(message)));
    for (const event of ['timeout', 'close'] as const) socket.on(event, () => over(false));
  });
}

/** What a server is that closed a plain connection, or sent what is none of the protocol; undefined if that is not clear. */
export async function plainDiagnosis(address: Address): Promise<Diagnosis | undefined> {
  const text = await answerToPing(address);
  if (/^(?:HTTP\/|<)/i.test(text)) return HTTP;
  if (/^[+-]/.test(text)) return undefined;
  if (await speaksTls(address)) return NEEDS_TLS;
  return text === '' ? undefined : NO_REDIS;
}

/** Whether a server answers without TLS. */
export async function speaksPlain(address: Address): Promise<boolean> {
  return /^[+-][A-Z]/.test(await answerToPing(address));
}
