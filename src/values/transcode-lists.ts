import type { Frame } from '../rdb/frame.js';
import { readLength } from '../rdb/length.js';
import type { TypeRow } from '../rdb/types.js';
import { addBytes, addLength, addScore, addString } from '../rdb/write-string.js';
import { NotRepresentable, type TargetLimits } from './target-limits.js';
import { INTSET_ITEMS, PACKED_BYTES, PACKED_ITEMS } from './packed-limits.js';
import type { Rewriting } from './rewriting.js';
import { targetName } from './targets.js';
import { scoreOf } from './value-integers.js';

/** Servers refuse larger ziplists (redis 6.2 ziplist.c, ZIPLIST_MAX_SAFETY_SIZE). */
const GREATEST_ZIPLIST = 1 << 30;

/** A list: as a quicklist of ziplists (14), node by node, or before 3.2 as a plain one (1). */
export function rewriteList(to: Rewriting, frame: Frame): TypeRow {
  const type = to.choose('LIST_QUICKLIST', 'LIST');
  if (type.name === 'LIST_QUICKLIST') quicklist(to, frame);
  else plainItems(to, frame, to.survey(frame).items);
  return type;
}

/** Each node becomes a ziplist, one of a single large element, too: that is how servers before 7.0 had it. */
function quicklist(to: Rewriting, frame: Frame): void {
  const { out, walk, ziplist } = to;
  const nodes = { value: 0, hi: 0, lo: 0 };
  readLength(frame.bytes, frame.start, frame.end, nodes);
  addLength(out, nodes.value);
  walk.over(frame, {
    nodeBegin: () => ziplist.begin(),
    item: (element) => ziplist.add(to.plain(element)),
    nodeEnd: () => {
      checkZiplist(to, ziplist.size);
      const node = ziplist.finish();
      addBytes(out, node, 0, node.length);
    },
  });
}

/** Refuses nodes that the target would. */
export function checkZiplist({ target }: TargetLimits, size: number): void {
  if (size > GREATEST_ZIPLIST) throw new NotRepresentable(`${targetName(target)} has no list nodes of ${size} bytes`);
}

/** A set: as an intset (11) where it is one of a few integers, else plain (2). */
export function rewriteSet(to: Rewriting, frame: Frame): TypeRow {
  const { integers, items } = to.survey(frame);
  if (!integers || items > INTSET_ITEMS) {
    plainItems(to, frame, items);
    return to.choose('SET');
  }
  const { intset, out, walk } = to;
  intset.begin();
  walk.over(frame, { item: (element) => intset.add(to.integer(element)) });
  const set = intset.finish();
  addBytes(out, set, 0, set.length);
  return to.choose('SET_INTSET');
}

function plainItems({ out, walk }: Rewriting, frame: Frame, items: number): void {
  addLength(out, items);
  walk.over(frame, { item: (element) => addString(out, element) });
}

/** A sorted set: a packed one as a ziplist (12) where it is small, others with scores of 8 bytes (5) or as text (3). */
export function rewriteZset(to: Rewriting, frame: Frame): TypeRow {
  const { items, longest } = to.survey(frame);
  if (frame.type.form === 'listpack' && items <= PACKED_ITEMS && longest <= PACKED_BYTES) {
    packedZset(to, frame);
    return to.choose('ZSET_ZIPLIST');
  }
  const type = to.choose('ZSET_2', 'ZSET');
  const { out, walk } = to;
  addLength(out, items);
  walk.over(frame, {
    scored: (member, score) => {
      addString(out, member);
      addScore(out, type, scoreOf(score));
    },
  });
  return type;
}

function packedZset({ out, walk, ziplist }: Rewriting, frame: Frame): void {
  ziplist.begin();
  walk.over(frame, {
    scored: (member, score) => {
      ziplist.add(member);
      ziplist.add(score);
    },
  });
  const packed = ziplist.finish();
  addBytes(out, packed, 0, packed.length);
}
