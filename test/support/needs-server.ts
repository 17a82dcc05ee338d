import { spawnSync } from 'node:child_process';
import { SERVER } from './redis-server.js';

/* Of the tests with a server: without one they fail, and say so once a file. */
if (spawnSync(SERVER, ['--version']).status !== 0) throw new Error(`these tests need ${SERVER}: apt-get install redis-server, or name one in REDIS_SERVER`);
