import { describe, expect, test } from 'vitest';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { RdbFile } from '../../src/dump/rdb-file.js';
import { RdbSink, type RdbSinkOptions } from '../../src/dump/rdb-sink.js';
import { dumped, type Feeding, loadable, serverFile } from '../support/dump-support.js';
import { TestServer } from '../support/redis-server.js';

const copy = (rdbs: Uint8Array[], more: Partial<RdbSinkOptions> = {}, feeding: Feeding = {}) =>
  dumped(rdbs, (output, options, to) => new RdbSink([new RdbFile(output, to, options.codec ?? TS_CODEC)], { ...options, ...more }), feeding);

describe('a real server', () => {
  test('loads the copy, and its digest is that of the original', async () => {
    const server = await TestServer.start('--enable-debug-command', 'yes');
    try {
      for (const name of loadable(await server.target())) {
        const file = serverFile(name);
        await server.load(file);
        const want = await server.client.call('DEBUG', 'DIGEST');
        await server.load((await copy([file], {}, { chunks: 9000, limit: 2000 })).bytes);
        expect(await server.client.call('DEBUG', 'DIGEST')).toBe(want);
      }
    } finally {
      await server.stop();
    }
  });
});
