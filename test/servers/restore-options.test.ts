import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { TestServer } from '../support/redis-server.js';
import { urlOf } from '../support/restore-support.js';

const root = join(import.meta.dirname, '../..');
const EXAMPLE = join(root, 'fixtures/example.rdb');
const bytes = readFileSync(EXAMPLE);
const folder = new Folder();
afterAll(() => folder.remove());

const piped = (text: string | Uint8Array): Readable => Readable.from([Buffer.from(text)]);

describe('restore', () => {
  let server: TestServer;
  beforeAll(async () => (server = await TestServer.start()));
  afterAll(() => server.stop());

  test('says which variables set options, with the plan, unless it is quiet', async () => {
    const run = (...argv: string[]) => rdbkit(['restore', EXAMPLE, urlOf(server), '--dry-run', ...argv], { env: { RDBKIT_DB: '3' } });
    for (const more of [[], ['-v']]) expect((await run(...more)).err.match(/from the environment: RDBKIT_DB=3\n/g)).toHaveLength(1);
    expect((await run('-q')).err).toBe('');
  });

  test('with --verbose it says what came from a pipe; the plan says it of files', async () => {
    const url = urlOf(server);
    const found = /source [^\n]*: RDB 10/g;
    expect((await rdbkit(['restore', '-', url, '--dry-run', '-v'], { stdin: piped(bytes) })).err.match(found)).toEqual(['source standard input: RDB 10']);
    expect((await rdbkit(['restore', EXAMPLE, url, '--dry-run', '-v'])).err.match(found)).toHaveLength(1);
  });
});
