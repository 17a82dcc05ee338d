import fc from 'fast-check';
import { expect, test } from 'vitest';
import { redirection, refusalOf } from '../../src/redis/refusals.js';

test.each([
  ['BUSYKEY Target key name already exists.', 'there'],
  ['MOVED 3999 127.0.0.1:6381', 'moved'],
  ['ASK 3999 127.0.0.1:6381', 'ask'],
  ["READONLY You can't write against a read only replica.", 'stale'],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'later'],
  ['CLUSTERDOWN Hash slot not served', 'later'],
  ['LOADING Redis is loading the dataset in memory', 'later'],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'stop'],
  ["NOPERM this user has no permissions to run the 'restore' command", 'stop'],
  ["ERR unknown command 'RESTORE'", 'stop'],
  ['ERR Bad data format', 'refused'],
  ['ERR DUMP payload version or checksum are wrong', 'refused'],
  ['constructor', 'refused'],
])('%s is dealt with as: %s', (error, refusal) => {
  expect(refusalOf(error)).toBe(refusal);
});

test('redirections name a node', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain(), fc.constant(''));
  fc.assert(
    fc.property(fc.constantFrom('MOVED', 'ASK'), fc.nat({ max: 16383 }), host, fc.integer({ min: 1, max: 65535 }), (kind, slot, name, port) => {
      expect(redirection(`${kind} ${slot} ${name}:${port}`)).toEqual({ slot, host: name, port });
    }),
  );
});
