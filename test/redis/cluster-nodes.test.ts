import { describe, expect, test } from 'vitest';
import { parseClusterNodes } from '../../src/redis/cluster-nodes.js';

describe('CLUSTER NODES', () => {
  const line = (...words: (string | number)[]): string => words.join(' ');
  const A = line(
    'aa',
    '10.0.0.1:6379@16379,a.example.com',
    'myself,master',
    '-',
    0,
    0,
    7,
    'connected',
    '0-99',
    200,
    '[93->-bb]',
    '[300-<-bb]',
  );
  const B = line('bb', '[fd00::2]:6380@16380', 'master', '-', 0, 1, 9, 'connected', '100-199', '[5->-zz]');
  const REPLICA = line('cc', '10.0.0.3:6379@16379,,shard-id=5f', 'slave', 'aa', 0, 1, 7, 'connected');
  const LOST = line('dd', ':0@0', 'master,noaddr,fail', '-', 0, 1, 3, 'disconnected');

  test('says what the node has, and what is on its way', () => {
    expect(parseClusterNodes([B, A, REPLICA, LOST, ''].join('\n'))).toEqual({
      self: { id: 'aa', address: { host: '10.0.0.1', port: 6379 }, master: undefined, epoch: 7 },
      nodes: [
        { id: 'bb', address: { host: 'fd00::2', port: 6380 }, master: undefined, epoch: 9 },
        { id: 'aa', address: { host: '10.0.0.1', port: 6379 }, master: undefined, epoch: 7 },
        { id: 'cc', address: { host: '10.0.0.3', port: 6379 }, master: 'aa', epoch: 7 },
        { id: 'dd', address: undefined, master: undefined, epoch: 3 },
      ],
      slots: [
        [0, 99],
        [200, 200],
      ],
      importing: new Map([[300, 'bb']]),
      migrating: new Map([[93, 'bb']]),
    });
  });

  test.each(['', 'OK', B])('is none where no node is the one that answers: %j', (text) => {
    expect(parseClusterNodes(text)).toBeUndefined();
  });

  test('takes no slots that are none', () => {
    const odd = line(
      'aa',
      '10.0.0.1:6379',
      'myself,master',
      '-',
      0,
      0,
      'x',
      'connected',
      '9-5',
      '16384',
      '0-16384',
      '-1',
      '[16384-<-bb]',
      '[1-=-bb]',
      '7',
    );
    expect(parseClusterNodes(odd)).toMatchObject({ slots: [[7, 7]], importing: new Map(), migrating: new Map(), self: { epoch: 0 } });
  });
});
