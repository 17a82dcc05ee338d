import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressText, parseAddress, parseServerUrl } from '../../src/redis/url.js';

test('URLs of servers say what they were made of', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  const login = fc.string({ minLength: 1, unit: 'grapheme' });
  fc.assert(
    fc.property(fc.constantFrom('redis', 'rediss', 'valkey', 'valkeys'), fc.option(login), fc.option(login), host, port, fc.option(fc.nat({ max: 2 ** 31 - 1 })), (scheme, user, password, name, number, db) => {
      const access = user === null && password === null ? '' : `${encodeURIComponent(user ?? '')}${password === null ? '' : `:${encodeURIComponent(password)}`}@`;
      const url = parseServerUrl(`${scheme}://${access}${addressText({ host: name, port: number })}${db === null ? '' : `/${db}`}`);
      expect(url).toEqual({ addresses: [{ host: name, port: number }], sentinelMaster: undefined, tls: scheme.endsWith('s') && scheme !== 'redis', username: user ?? undefined, password: password ?? undefined, db: db ?? undefined });
      expect(parseAddress(addressText({ host: name, port: number }))).toEqual({ host: name, port: number });
    }),
  );
});
