import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { Collector, decode, FIXTURE, Folder, lines, rdbkit } from '../support/cli-support.js';
import { BIN, collect, type Ended, shell } from '../support/processes.js';
import { until } from '../support/until.js';

const folder = new Folder();
let whole = '';

/** `$R` is the program, `$F` the fixture, `$T` a folder for files. */
const run = (command: string): Promise<Ended> =>
  shell(`R() { "$NODE" "$RDBKIT" "$@"; }; F='${FIXTURE}'; T='${folder.path}'; ${command}`);

beforeAll(async () => {
  whole = (await decode(FIXTURE)).out;
});
afterAll(() => folder.remove());

test('the package runs: version, help, a file, a pipe', async () => {
  expect(await run('R --version')).toMatchObject({ code: 0, err: '' });
  expect((await run('R decode --help')).out).toContain('--keep-going');
  expect(await run('R')).toMatchObject({ code: 2, out: '' });
  expect(await run('R decode "$F" --quiet')).toMatchObject({ code: 0, out: whole, err: '' });
  expect(await run('gzip -c "$F" | R decode - --quiet')).toMatchObject({ code: 0, out: whole, err: '' });
  expect(await run('R decode - --quiet < "$F"')).toMatchObject({ code: 0, out: whole });
  expect(await run('R decode "$T"')).toMatchObject({ code: 2, out: '' });
});

test('inspect --html writes a page that needs no other file', async () => {
  expect(await run('R inspect "$F" --html "$T/report.html" -q')).toMatchObject({ code: 0, err: '' });
  const page = readFileSync(folder.at('report.html'), 'utf8');
  expect(page).toMatch(/^<!doctype html>/);
  expect(page).toContain('"format":1');
  expect(page).not.toContain('<!--');
});

test('without a source, a pipe or a file on standard input is read', async () => {
  for (const command of ['decode', 'check', 'dump --format payload']) {
    const named = await run(`R ${command} - -q < "$F"`);
    expect(await run(`cat "$F" | R ${command} -q`)).toEqual(named);
    expect(await run(`R ${command} -q < "$F"`)).toEqual(named);
  }
  expect(await run('R decode -q < "$F" | R encode -q | head -c 5')).toMatchObject({ code: 0, out: 'REDIS' });
  for (const nothing of ['< /dev/null', '<&-']) {
    expect(await run(`R decode ${nothing}`)).toMatchObject({ code: 2, err: expect.stringContaining('no source given') as string });
  }
});

test('it works from any folder and leaves nothing in it', async () => {
  const other = new Folder();
  await run(`cd '${other.path}' && R decode "$F" -o x.jsonl`);
  expect(readdirSync(other.path)).toEqual(['x.jsonl']);
  other.remove();
});

describe('pipes', () => {
  test('a reader that leaves ends it quietly', async () => {
    const { err, out } = await run('R decode "$F" "$F" "$F" "$F" | head -1 | cut -c 1-6; echo "${PIPESTATUS[@]}" >&2');
    expect([out, err]).toEqual(['{"db":\n', '0 0 0\n']);
    expect((await run('R decode --help | head -1; echo "${PIPESTATUS[@]}" >&2')).err).toBe('0 0\n');
  });

  test('nor does one that leaves a report', async () => {
    const { err, out } = await run('R inspect "$F" -q --format json --top 10000 | head -c 10; echo "${PIPESTATUS[@]}" >&2');
    expect([out, err]).toEqual(['{"format":', '0 0\n']);
  });

  test('standard input that stays open does not keep it', async () => {
    const { code, err, out } = await run('R decode - --limit 1 < <(cat "$F"; exec sleep 100 >&- 2>&-)');
    expect(lines(out)).toHaveLength(1);
    expect([code, err]).toEqual([0, expect.stringContaining('rdbkit: 1 key, ')]);
  });

  test.skipIf(!existsSync('/dev/full'))('a full disk exits 4', async () => {
    expect(await run('R decode "$F" > /dev/full')).toMatchObject({
      code: 4,
      err: 'rdbkit: cannot write standard output: no space is left on the device. Make room, or write to another place, and run it again.\n',
    });
    for (const command of ['--version', '--help', 'completion bash', 'check --help', 'payload decode AMESBAoAxVzzmbOt/T8=']) {
      expect([command, await run(`R ${command} > /dev/full`)]).toMatchObject([
        command,
        {
          code: 4,
          err: 'rdbkit: cannot write standard output: no space is left on the device. Make room, or write to another place, and run it again.\n',
        },
      ]);
    }
    expect(await run('R decode "$F" -o /dev/full')).toMatchObject({
      code: 4,
      err: 'rdbkit: cannot write /dev/full: no space is left on the device. Make room, or write to another place, and run it again.\n',
    });
  });
});

test('payloads: pipes and exit codes', async () => {
  const text = String.raw`"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb"`; // what Redis documents for DUMP of 10
  folder.file('ten', encodePayload(0, Uint8Array.of(0xc0, 10), 10));
  expect(await run(`R payload decode '${text}'`)).toMatchObject({ code: 0, out: '{"type":"string","value":"10"}\n', err: '' });
  expect(await run('R payload check < "$T/ten"')).toMatchObject({ code: 0, err: '' });
  expect(await run('head -c 12 "$T/ten" | R payload check')).toMatchObject({ code: 3, err: '' });
  expect(await run('R dump "$F" --format payload --quiet | tee "$T/lines" | R payload check')).toMatchObject({
    code: 0,
    out: '250 payloads: all valid\n',
  });
  expect((await run('R payload decode < "$T/lines" > "$T/out" && R decode "$F" --quiet | cmp - "$T/out"')).code).toBe(0);
  expect((await run('cat "$T/lines" | R payload decode | head -1 | cut -c 1-6; echo "${PIPESTATUS[@]:1}" >&2')).err).toBe('0 0 0\n');
  expect(await run(`R payload decode '${text}' > /dev/full`)).toMatchObject({
    code: 4,
    err: 'rdbkit: cannot write standard output: no space is left on the device. Make room, or write to another place, and run it again.\n',
  });
});

test.skipIf(process.platform !== 'linux')('a closed standard output is told, as far as Node lets it be known', async () => {
  const nowhere = 'rdbkit: warning: standard output is closed, or /dev/null: the output goes nowhere.';
  for (const command of ['decode "$F"', 'dump "$F" --format rdb', 'payload decode AMESBAoAxVzzmbOt/T8=']) {
    expect(await run(`R ${command} >&-`)).toMatchObject({ code: 0, err: expect.stringContaining(nowhere) as string });
    expect((await run(`R ${command} > /dev/null`)).err).not.toContain('warning');
  }
  for (const command of ['decode "$F" -o "$T/closed.jsonl"', 'check "$F"', '--help'])
    expect((await run(`R ${command} >&-`)).err).not.toContain('warning');
  expect(await run('R decode "$F" -q >&- 2>&-')).toMatchObject({ code: 0, err: '' });
});

test('a large string that cannot be put aside is an error that names TMPDIR', async () => {
  const header = Buffer.from([...Buffer.from('REDIS0011'), 0, 1, 0x6b, 0x80, 0, 0xc0, 0, 0]); // a string of 12 MiB
  folder.file('large.rdb', Buffer.concat([header, Buffer.alloc(12 << 20, 'x'), Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0])]));
  const { code, err } = await run('TMPDIR="$T/none" R decode "$T/large.rdb" -o "$T/large.jsonl"');
  expect([code, err]).toEqual([
    4,
    expect.stringMatching(/^rdbkit: cannot write \S+\/none: its folder does not exist; .* TMPDIR can name another folder\.\n$/),
  ]);
  expect((await run('R decode "$T/large.rdb" --quiet | wc -c')).out.trim()).toBe(
    String((12 << 20) + '{"db":0,"key":"k","type":"string","value":""}\n'.length),
  );
});

describe('an output in danger', () => {
  test('two runs at once to the same file leave one whole decoding', async () => {
    const { code } = await run(
      'R decode - --quiet -o "$T/both.jsonl" < <(cat "$F"; sleep 1) & R decode "$F" --quiet -o "$T/both.jsonl" && wait $!',
    );
    expect(code).toBe(0);
    expect(readFileSync(folder.at('both.jsonl'), 'utf8')).toBe(whole);
  });

  test('what an earlier run saved is not lost to a source that cannot be read', async () => {
    const { code } = await run('echo saved > "$T/kept.jsonl.partial"; R decode "$T/none.rdb" -o "$T/kept.jsonl"');
    expect([code, readFileSync(folder.at('kept.jsonl.partial'), 'utf8')]).toEqual([2, 'saved\n']);
  });

  test('it is not the file that standard input comes from', async () => {
    const { code, err } = await run('cp "$F" "$T/in.rdb"; R decode - -o "$T/in.rdb" < "$T/in.rdb"');
    expect([code, err]).toEqual([2, expect.stringContaining('would overwrite the source that standard input comes from')]);
    expect(readFileSync(folder.at('in.rdb')).equals(readFileSync(FIXTURE))).toBe(true);
  });

  test('a FIFO that nobody reads does not hold up a signal', async () => {
    const { code } = await run('mkfifo "$T/fifo"; timeout -k 200 -s TERM 2 "$NODE" "$RDBKIT" decode "$F" -o "$T/fifo"');
    expect([124, 143]).toContain(code);
  });
});

describe('signals', () => {
  /** Decodes to `file`, and sends the signal when that has begun and all input there is was surely read. */
  async function interrupted(
    source: string, file: string, signal: NodeJS.Signals, times: number, input?: Uint8Array, command = 'decode',
  ): Promise<Ended> {
    const child = spawn(process.execPath, [BIN, command, source, '-o', file]);
    const ended = collect(child);
    if (input !== undefined) child.stdin.write(input); // and leave it open: more could come
    await until('the output is begun', () => readdirSync(dirname(file)).some((name) => name.endsWith('.tmp')));
    await until('the input is taken', () => child.stdin.writableLength === 0);
    await delay(2000); // for what a pipe holds
    for (let i = 0; i < times; i++) {
      child.kill(signal);
      await delay(50);
    }
    const result = await ended;
    child.stdin.destroy();
    return result;
  }

  test.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('%s leaves whole lines', async (signal, code) => {
    const file = folder.at(`${signal}.jsonl`);
    const result = await interrupted('-', file, signal, 1, readFileSync(FIXTURE).subarray(0, 300_000));
    expect(result.code).toBe(code);
    expect(result.err).toMatch(
      new RegExp(`^rdbkit: interrupted by ${signal}\\. What was decoded before is in \\S+\\.jsonl\\.partial\\.\\nrdbkit: 165 keys, `),
    );
    expect(existsSync(file)).toBe(false);
    const partial = readFileSync(`${file}.partial`, 'utf8');
    expect(lines(partial)).toHaveLength(165);
    expect(whole.startsWith(partial)).toBe(true);
  });

  test('a report is of what was read until then', async () => {
    const file = folder.at('interrupted.txt');
    const result = await interrupted('-', file, 'SIGINT', 1, readFileSync(FIXTURE).subarray(0, 300_000), 'inspect');
    expect(result.code).toBe(130);
    expect(result.err).toMatch(/^rdbkit: interrupted by SIGINT\.\nrdbkit: 165 keys inspected, /);
    const report = readFileSync(file, 'utf8');
    expect(report).toContain('NOT READ TO THE END');
    expect(report).toContain('165 keys, ');
  });

  test.each([1, 2])('a source that nobody writes to does not hold it (signals: %i)', async (times) => {
    const fifo = folder.at(`fifo-${times}`);
    execFileSync('mkfifo', [fifo]);
    const { code, signal } = await interrupted(fifo, folder.at(`fifo-${times}.jsonl`), 'SIGINT', times);
    expect(code ?? signal).toBe('SIGINT'); // which a shell reports as 130
  });
});

describe('a terminal', () => {
  const script = spawnSync('script', ['--version'], { encoding: 'utf8' });
  const available = script.status === 0 && script.stdout.includes('util-linux');
  if (!available) process.stderr.write('SKIPPED: the progress bar on a pseudo-terminal: there is no script(1) of util-linux here\n');

  /** Runs in a pseudo-terminal; what it shows comes out. `shown` in the command waits until the bar is. */
  const terminal = (command: string): Promise<Ended> => {
    const screen = folder.file('screen', '');
    const shown = `shown() { until grep -q '200 kB' '${screen}'; do sleep 0.05; done; }`;
    const file = folder.file('terminal.sh', `R() { "$NODE" "$RDBKIT" "$@"; }; ${shown}; F='${FIXTURE}'; T='${folder.path}'; ${command}\n`);
    return shell(`script -qfec 'bash ${file}' '${screen}' < /dev/null`);
  };

  test.skipIf(!available)('shows a bar on a long run and takes it away', async () => {
    const { code, out } = await terminal('(head -c 200000 "$F"; shown; tail -c +200001 "$F") | R decode - -o "$T/bar.jsonl"');
    expect(code).toBe(0);
    expect(out).toMatch(/200 kB {2}\d+ keys {2}/);
    expect(out).toMatch(/\u001b\[Krdbkit: 250 keys, [^\u001b\n]*\n$/);
    expect(readFileSync(folder.at('bar.jsonl'), 'utf8')).toBe(whole);
  });

  test.skipIf(!available)('shows none with --quiet, --progress none, or where the data goes', async () => {
    const slow = '(head -c 200000 "$F"; sleep 1.2; tail -c +200001 "$F") | R decode -';
    expect((await terminal(`${slow} -o "$T/a" --quiet`)).out).toBe('');
    expect((await terminal(`${slow} -o "$T/a" --progress none`)).out).toMatch(/^rdbkit: 250 keys, .*\r\n$/);
    expect((await terminal(slow)).out).not.toContain('\u001b[');
  });

  test('shows none on a short run', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval'] }); // no time passes, however slow the machine
    try {
      const stderr = new Collector();
      stderr.isTTY = true;
      expect(await rdbkit(['decode', FIXTURE, '-o', folder.at('short.jsonl')], { stderr })).toMatchObject({ code: 0 });
      expect(stderr.text).toMatch(/^rdbkit: 250 keys, [^\u001b\n]*\n$/);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test.skipIf(!available)('the error of a damaged file stands on a clean line', async () => {
    const { code, out } = await terminal('(head -c 200000 "$F"; shown) | R decode - -o "$T/bar2.jsonl"');
    expect(code).toBe(3);
    expect(out).toMatch(/\u001b\[Krdbkit: TRUNCATED: standard input, offset 200000, [^\u001b]*$/);
  });
});
