/** Replaced by the real ones as soon as they are there. */
import type { Redis } from 'ioredis';
import type { Access } from '../redis/connect.js';
import type { Address } from '../redis/url.js';

export const bestReplica = (client: Redis, access: Access): Promise<Address | undefined> =>
  Promise.resolve(client.status === 'end' && access.url.tls ? access.url.addresses[0] : undefined);
export const replicationNotes = (client: Redis): Promise<string[]> => Promise.resolve(client.status === 'end' ? [''] : []);
export const replicationRefused = (client: Redis, name: string | undefined): Promise<string | undefined> =>
  Promise.resolve(client.status === 'end' ? name : undefined);
