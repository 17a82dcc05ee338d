import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decode } from '../support/cli-support.js';
import { NODES } from '../support/nodes.js';
import { BIN } from '../support/processes.js';

const root = join(import.meta.dirname, '../..');

describe.each(NODES)('Node %s', (_, node) => {
  const rdbkit = (...args: string[]): string => execFileSync(node, [BIN, ...args], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });

  test('decodes, dumps, and decodes in threads', async () => {
    expect(rdbkit('decode', 'fixtures/example.rdb', '--quiet')).toBe(readFileSync(join(root, 'fixtures/example.jsonl'), 'utf8'));
    const source = 'fixtures/servers/redis-7.2.6-nochecksum.rdb';
    const { out } = await decode(join(root, source));
    expect(rdbkit('decode', source, '--threads', '2', '--quiet')).toBe(out);
    const [line] = rdbkit('dump', 'fixtures/example.rdb', '--format', 'payload', '--quiet').split('\n');
    expect(JSON.parse(line)).toMatchObject({ db: 0, payload: expect.any(String) as string });
  });
});
