import { keySlot } from '../bytes/crc16.js';
import { ServerError } from '../redis/errors.js';
import { refusalOf } from '../redis/refusals.js';
import type { Servers } from '../redis/servers.js';

/** What is said of the keys of a command, and not of the command. */
const OF_KEYS = /^NOPERM .*\bkeys?\b/;

/**
 * Asks each master for a write that changes nothing: RESTORE of an empty payload, or SET of a key only if it exists. A server that would
 * refuse every key (MISCONF, OOM, NOPERM …) refuses this one, too, and for the same reason.
 */
export async function writeRefused(servers: Servers, plainCommands: boolean): Promise<ServerError | undefined> {
  const answers = await servers.eachMaster(async (client, master) => {
    const key = keyOf(servers, servers.masters.indexOf(master));
    const asked = plainCommands ? client.call('SET', key, '', 'XX') : client.call('RESTORE', key, '0', '');
    const answer = await asked.then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
    return refusalOf(answer) === 'stop' && !OF_KEYS.test(answer) ? new ServerError('REFUSED', master.name, answer) : undefined;
  });
  return answers.find((error) => error !== undefined);
}

/** A key that no one has, in a slot of a master. */
function keyOf({ owners }: Servers, index: number): string {
  for (let n = 0; ; n++) {
    const key = `rdbkit:probe:${n}`;
    if (owners === undefined || !owners.includes(index) || owners[keySlot(Buffer.from(key))] === index) return key;
  }
}
