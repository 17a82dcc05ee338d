import { expect } from 'vitest';
import type { OpenedNode } from '../../src/live/replication-input.js';
import { openSocket } from '../../src/redis/connect.js';
import { addressText, parseServerUrl } from '../../src/redis/url.js';
import { ChangeLink, type ChangeLog } from '../../src/sync/source/change-link.js';
import { RedisNode } from './redis-node.js';
import { until } from './until.js';

const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

const nodes: RedisNode[] = [];
export const links: { close(): void }[] = [];

/** Closes the links and stops the nodes of a test. */
export async function stopAll(): Promise<void> {
  for (const link of links.splice(0)) link.close();
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
}

export async function started(...options: string[]): Promise<RedisNode> {
  const node = await RedisNode.start(...QUICK, ...options);
  nodes.push(node);
  return node;
}

export const opening = (node: { readonly url: string }) => async (): Promise<OpenedNode> => {
  const url = parseServerUrl(node.url);
  return { socket: (await openSocket({ url })).socket, name: addressText(url.addresses[0]) };
};

/** A log in memory. */
export class MemoryLog implements ChangeLog {
  bytes = Buffer.alloc(0);
  readonly turns: [id: string, offset: number][] = [];
  /** Appending waits for it. */
  full: Promise<void> | undefined;

  constructor(private readonly base: number) {}

  get end(): number {
    return this.base + this.bytes.length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.full;
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }

  turn(id: string, offset: number): void {
    this.turns.push([id, offset]);
  }

  truncate(offset: number): Promise<void> {
    this.bytes = this.bytes.subarray(0, offset - this.base);
    return Promise.resolve();
  }

  /** Its commands, but for PING, SELECT and GETACK, as words. */
  get commands(): string[] {
    const text = this.bytes.toString('latin1');
    const commands = [...text.matchAll(/\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+)/g)].map(([, args]) =>
      [...args.matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, arg]) => arg).join(' '),
    );
    return commands.filter((command) => !/^(?:ping|select|replconf)/i.test(command));
  }
}

export const fieldOf = async ({ client }: RedisNode, name: string, section = 'replication'): Promise<string> =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(await client.info(section))?.[1] ?? '';

/** A full copy, as a replica takes one, so that the server keeps a backlog. */
export async function withBacklog(...options: string[]): Promise<RedisNode> {
  const node = await started(...options);
  const replica = await started();
  await replica.client.replicaof('127.0.0.1', node.port);
  await until('it has a replica', async () => (await node.client.info('replication')).includes('state=online'));
  await replica.stop();
  return node;
}

interface Following {
  readonly log: MemoryLog;
  readonly link: ChangeLink;
  readonly events: string[];
  readonly over: AbortController;
}

/** A link to whichever node `now` is. */
export async function following(
  node: RedisNode,
  open: () => Promise<OpenedNode> = opening(node),
): Promise<Following & { id: string; from: number }> {
  const [id, from] = [await fieldOf(node, 'master_replid'), Number(await fieldOf(node, 'master_repl_offset'))];
  const log = new MemoryLog(from);
  const events: string[] = [];
  const over = new AbortController();
  const link = new ChangeLink({ name: 'it', open, log, signal: over.signal, onEvent: (text) => void events.push(text) });
  links.push(link);
  expect(await link.start(id, from)).toBeUndefined();
  return { log, link, events, over, id, from };
}

/** Its end, whatever that is. */
export const ended = (running: Promise<unknown>): Promise<unknown> => running.catch((error: unknown) => error);
