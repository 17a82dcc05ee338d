import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A module with a type of its own, `test-type`, and a command that makes such a key. It needs no header of a server. */
const CODE = `
#include <stdint.h>
typedef int (*Command)(void *, void **, int);
typedef struct { uint64_t version; void *(*load)(void *, int); void (*save)(void *, void *); void (*aof)(void *, void *, void *);
  uint64_t (*usage)(const void *); void (*digest)(void *, void *); void (*free)(void *); } Methods;
static void *type;
static int (*set_attribs)(void *, const char *, int, int);
static void *(*create_type)(void *, const char *, int, Methods *);
static int (*create_command)(void *, const char *, Command, const char *, int, int, int);
static void *(*open_key)(void *, void *, int);
static int (*set_value)(void *, void *, void *);
static void (*close_key)(void *);
static int (*reply)(void *, const char *);
static void *load(void *io, int version) { (void)io; (void)version; return &type; }
static void save(void *io, void *value) { (void)io; (void)value; }
static void rewrite(void *io, void *key, void *value) { (void)io; (void)key; (void)value; }
static void release(void *value) { (void)value; }
static int make(void *context, void **words, int count) {
  if (count != 2) return 1;
  void *key = open_key(context, words[1], 2);
  set_value(key, type, &type);
  close_key(key);
  return reply(context, "OK");
}
int RedisModule_OnLoad(void *context, void **words, int count) {
  (void)words; (void)count;
  int (*api)(const char *, void *) = *(int (**)(const char *, void *))context;
  api("RedisModule_SetModuleAttribs", &set_attribs);
  api("RedisModule_CreateDataType", &create_type);
  api("RedisModule_CreateCommand", &create_command);
  api("RedisModule_OpenKey", &open_key);
  api("RedisModule_ModuleTypeSetValue", &set_value);
  api("RedisModule_CloseKey", &close_key);
  api("RedisModule_ReplyWithSimpleString", &reply);
  set_attribs(context, "testmodule", 1, 1);
  Methods methods = { 1, load, save, rewrite, 0, 0, release };
  type = create_type(context, "test-type", 0, &methods);
  return create_command(context, "test.make", make, "write", 1, 1, 1);
}
`;

/** Compiles it into a folder; undefined without a C compiler. */
export function testModule(folder: string): string | undefined {
  const [source, library] = [join(folder, 'module.c'), join(folder, 'module.so')];
  writeFileSync(source, CODE);
  const { error, status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-o', library, source], { encoding: 'utf8' });
  if (error !== undefined) return undefined;
  if (status !== 0) throw new Error(stderr);
  return library;
}
