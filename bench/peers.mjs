// Other programs that read RDB files, where they are on PATH. What would be measured here:
//
//     node bench/peers.mjs
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/** `says` is what a program of this name prints when asked for help: two of them are called `rdb`. `floods`: JSON on standard output. */
const known = [
  { name: 'cat', about: 'reads only', program: 'cat', version: (file) => /[\d.]+\d/.exec(outputOf(file, ['--version']))?.[0], args: (rdb) => [rdb], floods: true },
  { name: 'redis-check-rdb', about: 'C, parses only', program: 'redis-check-rdb', version: (file) => /\d[\w.]+/.exec(outputOf(file, ['--version']))?.[0], args: (rdb) => [rdb] },
  { name: 'librdb', about: 'C', program: 'rdb-cli', version: (file) => /\[v([\w.]+)\]/.exec(outputOf(file, []))?.[1], args: (rdb) => [rdb, 'json', '-o', '/dev/null'] },
  { name: 'HDT3213/rdb', about: 'Go', program: 'rdb', says: /^\s+-c\s+(?:string|command)\b/m, version: goVersion, args: (rdb) => ['-c', 'json', '-o', '/dev/null', rdb] },
  { name: 'redis-rdb-tools', about: 'Python', program: 'rdb', says: /--command\b/, version: pythonVersion, args: (rdb) => ['--command', 'json', rdb], floods: true },
];

/** The programs found: name, what they are, version, and the command that decodes `rdb`. */
export function findPeers() {
  return known.flatMap(({ name, about, program, says, version, args, floods }) => {
    const file = onPath(program).find((found) => says?.test(outputOf(found, ['--help'])) ?? true);
    if (file === undefined) return [];
    return [{ name, about, version: version(file) ?? 'version unknown', command: (rdb) => ({ name, about, file, args: args(rdb), floods }) }];
  });
}

function onPath(program) {
  return process.env.PATH.split(delimiter)
    .map((folder) => resolve(folder, program))
    .filter((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

function outputOf(file, args) {
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return `${stdout ?? ''}${stderr ?? ''}`;
}

function goVersion(file) {
  return /^\s*mod\s+\S+\s+(\S+)/m.exec(outputOf('go', ['version', '-m', file]))?.[1];
}

function pythonVersion(file) {
  const python = /^#!\s*(\S*python\S*)/.exec(readFileSync(file, 'latin1'))?.[1] ?? 'python3';
  return /^[\d.]+$/m.exec(outputOf(python, ['-c', 'import importlib.metadata as m; print(m.version("rdbtools"))']))?.[0];
}

if (process.argv[1] === join(import.meta.dirname, 'peers.mjs')) for (const { name, about, version } of findPeers()) console.log(`${name} (${about}): ${version}`);
