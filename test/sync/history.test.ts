import { expect, test } from 'vitest';
import { continuation, historyOf, type SourceHistory } from '../../src/sync/source/history.js';

const [A, B, C, D] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(40));

const INFO = [
  '# Replication',
  'role:master',
  'connected_slaves:0',
  `master_replid:${A}`,
  `master_replid2:${'0'.repeat(40)}`,
  'master_repl_offset:1000',
  'second_repl_offset:-1',
  'repl_backlog_active:1',
  'repl_backlog_size:1048576',
  'repl_backlog_first_byte_offset:501',
  'repl_backlog_histlen:500',
  '',
].join('\r\n');

test('a history is read from INFO', () => {
  const none = { role: 'master', id: A, offset: 1000, earlierId: '', earlierEnd: 0 };
  expect(historyOf(INFO)).toEqual({ ...none, backlog: { from: 501, to: 1000, full: false } });
  expect(historyOf(INFO.replace('1048576', '400'))?.backlog).toEqual({ from: 501, to: 1000, full: true });
  expect(historyOf(INFO.replace('active:1', 'active:0'))).toEqual({ ...none, backlog: undefined });
  const promoted = INFO.replace('0'.repeat(40), B).replace('second_repl_offset:-1', 'second_repl_offset:901');
  expect(historyOf(promoted)).toMatchObject({ earlierId: B, earlierEnd: 900 });
});

test.each(['', '# Replication\r\nrole:master\r\n', INFO.replace(A, 'x'), INFO.replace(':1000', ':many')])(
  'what does not tell one: %j',
  (text) => {
    expect(historyOf(text)).toBeUndefined();
  },
);

const source = (more: Partial<SourceHistory>): SourceHistory => ({
  ...{ role: 'master', id: A, offset: 1000, earlierId: '', earlierEnd: 0, backlog: { from: 501, to: 1000, full: true } },
  ...more,
});

test('a log goes on where the backlog has what follows its end', () => {
  const at = (end: number, more: Partial<SourceHistory> = {}): unknown => continuation(source(more), [{ id: A, end }]);
  expect(at(1000)).toEqual({ kind: 'continues', id: A });
  expect(at(500)).toEqual({ kind: 'continues', id: A });
  expect(at(499)).toEqual({
    kind: 'gap',
    id: A,
    wanted: 500,
    have: { from: 501, to: 1000, full: true },
    reason: 'it keeps its writes from offset 501 on only, and 1 byte before that are gone: raise repl-backlog-size',
  });
  const why = 'it was restarted, or had no replica for longer than repl-backlog-ttl';
  expect(at(499, { backlog: { from: 501, to: 1000, full: false } })).toHaveProperty(
    'reason',
    `it keeps its writes from offset 501 on only, and 1 byte before that are gone: ${why}`,
  );
  expect(at(1001)).toMatchObject({
    kind: 'gap',
    reason: 'it is at offset 1000, 1 byte before the last write that was received: it was set back, as if to an older copy of itself',
  });
  expect(at(1001, { role: 'slave' })).toEqual({
    kind: 'wait',
    reason: 'it is at offset 1000, 1 byte before the last write that was received',
  });
  expect(at(700, { backlog: undefined })).toMatchObject({ kind: 'gap', have: undefined });
  expect(at(1000, { backlog: { from: 1001, to: 1000, full: false } })).toEqual({ kind: 'continues', id: A });
});

test('a promoted replica has the history before it up to where it was', () => {
  const promoted = source({ id: B, earlierId: A, earlierEnd: 900 });
  expect(continuation(promoted, [{ id: A, end: 900 }])).toEqual({ kind: 'continues', id: A });
  expect(continuation(promoted, [{ id: A, end: 950 }])).toEqual({ kind: 'rewound', from: 950, to: 900, id: A });
  expect(continuation({ ...promoted, earlierEnd: 400 }, [{ id: A, end: 950 }])).toMatchObject({ kind: 'gap', wanted: 951 });
  expect(continuation(promoted, [{ id: D, end: 900 }])).toMatchObject({
    kind: 'gap',
    reason: `it has another history: its replication id is ${B}, and was ${A} up to offset 900, not ${D}`,
  });
});

test('a log that followed another replica goes back to the last history that both know', () => {
  // A up to 800, then B up to 950; C took over from A at 900
  const logged = [
    { id: A, end: 800 },
    { id: B, end: 950 },
  ];
  expect(continuation(source({ id: C, earlierId: A, earlierEnd: 900 }), logged)).toEqual({ kind: 'rewound', from: 950, to: 800, id: A });
  expect(continuation(source({ id: C, earlierId: A, earlierEnd: 700 }), logged)).toEqual({ kind: 'rewound', from: 950, to: 700, id: A });
  expect(continuation(source({ id: A }), logged)).toEqual({ kind: 'rewound', from: 950, to: 800, id: A });
  expect(continuation(source({ id: C, earlierId: B, earlierEnd: 950 }), logged)).toEqual({ kind: 'continues', id: B });
});
