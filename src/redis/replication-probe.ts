import type { Redis } from 'ioredis';
import { reasonOf } from './errors.js';
import { isUnknownCommand, refusalOf } from './refusals.js';
import { helloInfo } from './server-info.js';

/** The release from which on PSYNC looks at its offset before anything else (redis#10243); older ones copy all the same, or crash. */
const CHECKS_OFFSET = 7;

/**
 * Why a server refuses replication for good; undefined if it does not, or cannot be asked without a transfer. Nothing is transferred,
 * and the server does not fork. `psync`: the name of PSYNC on servers that renamed it. The probe has a connection of its own, like that
 * of `client`. Rejects if that is not made, or lost.
 *
 * A wrong number of arguments is told before a lack of rights, so that is no probe (redis server.c, processCommand). Before 7.0, PSYNC
 * is queued in MULTI, if it is allowed, and then discarded. Since 7.0 it is refused there before the rights are looked at, but then an
 * offset that is no number ends it.
 */
export async function replicationRefused(client: Redis, psync = 'PSYNC'): Promise<string | undefined> {
  const info = await client.info('server').catch(() => helloInfo(client));
  const release = Number(/^redis_version:(\d+)/m.exec(info)?.[1]);
  const probe = client.duplicate();
  probe.on('error', () => undefined);
  try {
    if (probe.status === 'wait') await probe.connect();
    const answer = release >= CHECKS_OFFSET ? await said(probe, psync, '?', 'x') : await queued(probe, psync);
    if (refusalOf(answer) !== 'stop') return undefined;
    const hasSync = psync === 'PSYNC' && isUnknownCommand(answer) && !isUnknownCommand(await said(probe, 'SYNC', 'x'));
    return hasSync ? undefined : answer;
  } finally {
    probe.disconnect();
  }
}

/** The error that a command is answered with; empty if there is none. */
async function said(client: Redis, name: string, ...args: string[]): Promise<string> {
  try {
    await client.call(name, ...args);
    return '';
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return reasonOf(error);
    throw error;
  }
}

/** The same for PSYNC within MULTI; empty if that tells nothing: there is no MULTI, or the server is a newer one. */
async function queued(client: Redis, psync: string): Promise<string> {
  if ((await said(client, 'MULTI')) !== '') return '';
  const answer = await said(client, psync, '?', '-1');
  await said(client, 'DISCARD');
  return /inside a transaction/i.test(answer) ? '' : answer;
}
