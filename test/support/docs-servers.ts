import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { collect } from './processes.js';
import { SERVER, TestServer } from './redis-server.js';

/** What the console blocks of a page are run against: the scene stands before them, as in `<!-- server -->`. */
export const SCENES = ['server', 'cluster', 'server and cluster'] as const;
export type Scene = (typeof SCENES)[number];

/** The ports that the docs say. */
const CLUSTER = [7001, 7002, 7003];
const SAID: Readonly<Record<Scene, readonly number[]>> = { server: [6379], cluster: CLUSTER, 'server and cluster': [6379, ...CLUSTER] };
/** Those that `redis-cli --cluster create` gives to three masters. */
const SLOTS = [[0, 5460], [5461, 10922], [10923, 16383]] as const;

/** Payloads and plans that the docs show are those of this release: of other servers they are others. */
export const isServerOfDocs = (): boolean => / v=7\.0\./.test(spawnSync(SERVER, ['--version'], { encoding: 'utf8' }).stdout);

/** Servers for the blocks of a page, in a folder of their own with the fixtures. */
export class DocsServers {
  private readonly folder = mkdtempSync(join(tmpdir(), 'rdbkit-docs-'));

  private constructor(
    private readonly scene: Scene,
    private readonly servers: readonly TestServer[],
    root: string,
  ) {
    symlinkSync(join(root, 'fixtures'), join(this.folder, 'fixtures'));
  }

  static async start(scene: Scene, root: string): Promise<DocsServers> {
    const optionsOf = (port: number): string[] => (CLUSTER.includes(port) ? ['--cluster-enabled', 'yes'] : []);
    const servers = await Promise.all(SAID[scene].map((port) => TestServer.start(...optionsOf(port))));
    const all = new DocsServers(scene, servers, root);
    if (scene !== 'server') await all.join();
    return all;
  }

  private async join(): Promise<void> {
    const nodes = this.servers.slice(-CLUSTER.length);
    const [first, ...others] = nodes;
    for (const [i, { client }] of nodes.entries()) {
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`);
      await client.call('CLUSTER', 'ADDSLOTSRANGE', ...SLOTS[i].map(String));
    }
    for (const { client } of others) await first.client.call('CLUSTER', 'MEET', '127.0.0.1', `${client.options.port}`);
    const info = ({ client }: TestServer): Promise<string> => client.call('CLUSTER', 'INFO') as Promise<string>;
    const isWhole = (text: string): boolean => text.includes('cluster_state:ok') && text.includes('cluster_known_nodes:3');
    while (!(await Promise.all(nodes.map(info))).every(isWhole)) await delay(50);
  }

  /** Runs the commands of a block, one after another, on servers that are empty. Returns what each prints. */
  async run(commands: readonly string[], path: string): Promise<string[]> {
    for (const { client } of this.servers) await client.flushall();
    // for those in the background to begin, or to write
    const pause = commands.some((command) => /&( done)?$/.test(command)) ? 'sleep 2; ' : '';
    const between = `\n${pause}echo -----\n`;
    const script = `exec 2>&1\n${commands.map((command) => this.here(command)).join(between)}\nkill $(jobs -p) 2> /dev/null`;
    const bash = spawn('bash', ['-c', script], { cwd: this.folder, env: { ...process.env, PATH: path } });
    bash.stdin.end();
    return this.said((await collect(bash)).out).split('-----\n');
  }

  private get ports(): [said: number, here: number][] {
    return SAID[this.scene].map((port, i) => [port, this.servers[i].client.options.port ?? 0]);
  }

  private here(command: string): string {
    return this.ports.reduce((text, [said, here]) => text.replaceAll(`${said}`, `${here}`), command.replace(/redis-cli (?!-p)/g, 'redis-cli -p 6379 '));
  }

  private said(text: string): string {
    return this.ports.reduce((all, [said, here]) => all.replaceAll(new RegExp(`(?<=[:-])${here}\\b`, 'g'), `${said}`), text);
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Output without what differs from run to run: times, speeds, memory, ports of clients. */
export function steady(output: string): string {
  return output
    .replace(/^\d{10}\.\d{6} \[(\d+) [\d.]+:\d+\]/gm, 'TIME [$1 CLIENT]')
    // how far a sync is, on a slow machine
    .replace(/^rdbkit: (?:changes, |full copy \d|connecting$|the source is paused, |giving keys).*\n/gm, '')
    .replace(/; [^;]*B, [\d.]+ s, [^;]*B\/s$/gm, '; SPEED') // of diff
    .replace(/; [^;]* in, [^;]* s, [^;]*\/s, [\d,]+ keys?\/s$/gm, '; SPEED')
    .replace(/, [\d.]+ k?B in, [\d.]+ k?B out, [\d.]+ s, .*\/s$/gm, ', SPEED')
    .replace(/(?<=offset )[\d,]+|(?<=changes: )[\d,]+(?= commands)|(?<=again in )[\d.]+(?= s)/g, 'SOME') // of sync
    .replace(', after waiting 5 s for other replicas', '') // which servers of tests do not
    .replace(/[\d.]+ MB of memory|it uses [\d.]+ MB/g, 'MEMORY');
}
