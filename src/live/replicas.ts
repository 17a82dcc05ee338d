import type { Redis } from 'ioredis';
import { type Access, reachedAt } from '../redis/connect.js';
import { reasonOf } from '../redis/errors.js';
import { type Address, addressText } from '../redis/url.js';

/** A replica, as its master tells of it. */
interface Replica {
  /** As it announces itself. */
  readonly address: Address;
  readonly state: string;
  /** The replication offset that it has confirmed. */
  readonly offset: number;
  /** Seconds since it has confirmed anything. */
  readonly lag: number;
}

/** Lines like `slave0:ip=10.0.0.7,port=6379,state=online,offset=1400,lag=0` (redis server.c, genRedisInfoString). */
function replicasIn(info: string): Replica[] {
  return [...info.matchAll(/^slave\d+:(.*?)\r?$/gm)].map(([, line]) => {
    const fields = new Map(line.split(',').map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]));
    const number = (name: string): number => Number(fields.get(name) ?? NaN);
    return {
      address: { host: fields.get('ip') ?? '', port: number('port') },
      state: fields.get('state') ?? '',
      offset: number('offset') || 0,
      lag: Number.isNaN(number('lag')) ? Infinity : number('lag'),
    };
  });
}

export interface ReplicaChoice {
  readonly access: Access;
  /** The master, for messages. */
  readonly name: string;
  /** A replica that was not reached. */
  readonly except?: Address | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
}

/**
 * The replica to read instead of its master, where it is reached from here: of those that are online the one with the smallest lag, and
 * of these the one that has most. Undefined, with a note, if there is none: then the master is read. Others that copy the master, such
 * as another rdbkit, are listed without a port.
 */
export async function replicaToRead(
  client: Redis,
  { access, except, name, onNote }: ReplicaChoice,
): Promise<Address | undefined> {
  let info: string;
  try {
    info = await client.info('replication');
  } catch (error) {
    onNote?.(`${name} does not tell its replicas (${reasonOf(error)}): it is read itself`);
    return undefined;
  }
  const isExcept = (address: Address): boolean => except !== undefined && addressText(address) === addressText(except);
  const listed = replicasIn(info).filter(({ address }) => address.port > 0 && !isExcept(reachedAt(access, address)));
  const online = listed.filter(({ state }) => state === 'online').sort((a, b) => a.lag - b.lag || b.offset - a.offset);
  const best = online.at(0);
  if (best !== undefined) return reachedAt(access, best.address);
  onNote?.(`${name} has no replica${listed.length === 0 ? '' : ' that is online'}: it is read itself`);
  return undefined;
}
