import type { ConnectionOptions } from 'node:tls';
import { type Access, type Address, type Login, parseServerUrl, type ServerUrl } from '../commands/restore-terms.js';
import type { Io } from './io.js';
import { longName } from './options/option.js';
import { printable } from './printable.js';
import { UsageError } from './usage.js';

/** Said where a password is an argument. */
export const PASSWORD_SHOWS =
  'warning: a password on the command line (-a) shows in the process list: set REDISCLI_AUTH, or use --password-file.';

/** Which of the servers an option is for, and how messages name it. */
export interface Side {
  readonly name: 'the target' | 'the source';
  /** Variables with passwords. */
  readonly auth: string;
  readonly sentinelAuth: string;
  /** The name of its option for `cacert`, `user`, … */
  readonly option: (name: string) => string;
}

export const TARGET_SIDE: Side = {
  name: 'the target',
  auth: 'REDISCLI_AUTH',
  sentinelAuth: 'RDBKIT_SENTINEL_AUTH',
  option: (name) => longName(name),
};

export const SOURCE_SIDE: Side = {
  name: 'the source',
  auth: 'RDBKIT_SOURCE_AUTH',
  sentinelAuth: 'RDBKIT_SOURCE_SENTINEL_AUTH',
  option: (name) => longName(`source${name[0].toUpperCase()}${name.slice(1)}`),
};

/** The options that log in to a server and set up TLS. */
export interface AccessWords {
  readonly user?: string | undefined;
  readonly pass?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly sentinelUser?: string | undefined;
  readonly sentinelPasswordFile?: string | undefined;
  readonly cacert?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly sni?: string | undefined;
  readonly insecure: boolean;
  readonly natMap?: ReadonlyMap<string, Address> | undefined;
}

const TARGET_OPTION =
  /--(?=(?:user|password-file|sentinel-user|sentinel-password-file|cacert|cert|key|sni|insecure|nat-map|cluster|standalone)\b)/g;

/** Options of the source have other names than those of the target. */
export function inSourceWords(text: string): string {
  return text
    .replace('--target-version and --standalone (or --cluster)', '--source-standalone (or --source-cluster)')
    .replace(TARGET_OPTION, '--source-')
    .replaceAll('REDISCLI_AUTH', SOURCE_SIDE.auth)
    .replaceAll('RDBKIT_SENTINEL_AUTH', SOURCE_SIDE.sentinelAuth);
}

export function checkUrl(text: string, side: Side): ServerUrl {
  try {
    return parseServerUrl(text);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const message = side === SOURCE_SIDE ? inSourceWords(error.message) : error.message;
    throw new UsageError(`${side.name}: ${message}`, { cause: error });
  }
}

/** How to reach a server. Throws UsageError. */
export async function checkAccess(url: ServerUrl, words: AccessWords, side: Side, { env }: Pick<Io, 'env'>): Promise<Access> {
  const password = words.passwordFile ?? nonEmpty(words.pass) ?? nonEmpty(env[side.auth]) ?? url.password;
  return {
    url: { ...url, username: words.user ?? url.username, password },
    tls: await checkTls(url, words, side),
    sentinelLogin: checkSentinels(url, words, side, env),
    natMap: words.natMap,
  };
}

/** An empty password counts as none. */
const nonEmpty = (password = ''): string | undefined => (password === '' ? undefined : password);

function checkSentinels({ sentinelMaster }: ServerUrl, words: AccessWords, side: Side, env: Io['env']): Login | undefined {
  const { sentinelPasswordFile, sentinelUser: username } = words;
  if (sentinelMaster === undefined) {
    const given = named(side, { sentinelUser: username, sentinelPasswordFile });
    if (given === '') return undefined;
    throw new UsageError(
      `options for sentinels are given (${given}), but the URL of ${side.name} does not name sentinels: ` +
        'write it as redis+sentinel://host:port/master',
    );
  }
  return { username, password: sentinelPasswordFile ?? nonEmpty(env[side.sentinelAuth]) };
}

/** The names of the options that are given, for messages. */
const named = ({ option }: Side, options: Readonly<Record<string, unknown>>): string =>
  Object.entries(options)
    .flatMap(([name, value]) => (value === undefined || value === false ? [] : [option(name)]))
    .join(', ');

async function checkTls(url: ServerUrl, words: AccessWords, side: Side): Promise<ConnectionOptions | undefined> {
  const { cacert, cert, insecure, key, sni } = words;
  const given = named(side, { cacert, cert, key, sni, insecure });
  if (!url.tls) {
    if (given === '') return undefined;
    const also = side === TARGET_SIDE ? ', or add --tls' : '';
    throw new UsageError(`options for TLS are given (${given}), but not TLS: write the URL as rediss://${also}`);
  }
  const both = `${side.option('cert')} and ${side.option('key')}`;
  if ((cert === undefined) !== (key === undefined)) throw new UsageError(`${both} belong together: expected both`);
  const files = {
    ...(cacert === undefined ? {} : { ca: cacert }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext(files);
  } catch (error) {
    throw new UsageError(
      `${both}: expected a certificate and its private key in PEM, got ${printable(error instanceof Error ? error.message : String(error))}`,
      { cause: error },
    );
  }
  return { ...files, ...(sni === undefined ? {} : { servername: sni }), rejectUnauthorized: !insecure };
}
