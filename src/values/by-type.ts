import type { Scratch } from '../rdb/string.js';
import type { Form, RedisType } from '../rdb/types.js';
import type { Items } from './items.js';
import type { OwnForm } from './own-form.js';
import { arrayForm, type ArrayItems, ArrayWriter } from './types/arrays.js';
import { BitmapForm, type BitmapItems, BitmapWriter } from './types/bitmaps.js';
import type { Encoding, ValueWriter } from './types/encoding.js';
import { HashWriter } from './types/hashes.js';
import { listWriter } from './types/lists.js';
import { ModuleWriter } from './types/modules.js';
import { SetWriter } from './types/sets.js';
import { StreamWriter } from './types/streams.js';
import { StringWriter } from './types/strings.js';
import { templateHash } from './types/templates.js';
import { ZsetWriter } from './types/zsets.js';

/** All calls for values: see Items. */
export interface AllItems extends Items, ArrayItems, BitmapItems {}

/** How values of a Redis type are written. */
export const WRITERS: Readonly<Record<RedisType, (encoding: Encoding) => ValueWriter>> = {
  string: (encoding) => new StringWriter(encoding),
  list: listWriter,
  set: (encoding) => new SetWriter(encoding),
  zset: (encoding) => new ZsetWriter(encoding),
  hash: (encoding) => new HashWriter(encoding),
  stream: (encoding) => new StreamWriter(encoding),
  module: (encoding) => new ModuleWriter(encoding),
  array: (encoding) => new ArrayWriter(encoding),
  bitmap: (encoding) => new BitmapWriter(encoding),
};

/** How forms are read that are neither items one after another nor packed values. */
export const ownForms = (scratch: Scratch): ReadonlyMap<Form, OwnForm<AllItems>> =>
  new Map<Form, OwnForm<AllItems>>([
    ['array', arrayForm],
    ['bitmap', new BitmapForm(scratch)],
    ['template', templateHash],
    ['template-listpack', templateHash],
    ['template-ref', templateHash],
    ['template-ref-listpack', templateHash],
  ]);

/** What values of a type become for targets without it. */
export const WRITTEN_AS: Readonly<Partial<Record<RedisType, RedisType>>> = { bitmap: 'string' };
