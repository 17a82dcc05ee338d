import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { differences } from '../support/compare.js';
import { TestServer } from '../support/redis-server.js';
import { serverTruth } from '../support/server-truth.js';
import { decodeBytes } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/servers/${name}.rdb`, import.meta.url));

/** What was written, and what was said of each key that was not. */
async function dumped(source: string, target: string, ...more: string[]): Promise<{ code: number | null; file: Uint8Array; refused: { key?: string; reason: string }[] }> {
  const out = folder.at(`${target}.rdb`);
  const { code, err } = await rdbkit(['dump', source, '--format', 'rdb', '--target-version', target, '-o', out, '--json', ...more]);
  const summary = JSON.parse(err.trim().split('\n').at(-1) as string) as { refused: { key?: string; reason: string }[] };
  return { code, file: new Uint8Array(readFileSync(out)), refused: summary.refused };
}

describe('a real server', () => {
  test('loads what was written for it', async () => {
    const server = await TestServer.start('--enable-debug-command', 'yes');
    try {
      for (const name of ['redis-7.2.6', 'redis-8.0.6', 'valkey-8.1.1', 'valkey-9.1.2']) {
        const { release, vendor } = await server.target();
        const { file } = await dumped(fixture(name), `${vendor}-${release}`, '--allow-loss');
        await server.load(file);
        const truth = await serverTruth(server.client, [0, 1, 2, 15]);
        expect(differences(truth, (await decodeBytes(file)).lines)).toEqual([]);
        expect(truth.split('\n').length).toBeGreaterThan(200);
      }
    } finally {
      await server.stop();
    }
  });
});
