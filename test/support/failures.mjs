/** A reporter of vitest: writes what failed in a run, in short, to the file RDBKIT_TEST_FAILURES; test/all.mjs says it again at the end. */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { stripVTControlCharacters } from 'node:util';

/** How much is said of one error. */
const LINES = 25;

function said(error) {
  const lines = (error.stack ?? error.message ?? String(error)).split('\n').filter((line) => !line.includes('/node_modules/'));
  return stripVTControlCharacters([...lines.slice(0, LINES), ...(error.diff ?? '').split('\n').slice(0, LINES)].join('\n'));
}

export default class Failures {
  onTestRunEnd(modules, unhandled, reason) {
    const found = [`The run ${reason}.`];
    const tell = (place, errors) => found.push(...errors.map((error) => `${place}\n${said(error)}`));
    for (const module of modules) {
      const { children, relativeModuleId: file } = module;
      tell(`FAIL ${file}`, module.errors());
      for (const suite of children.allSuites()) tell(`FAIL ${file} > ${suite.fullName}`, suite.errors());
      for (const test of children.allTests('failed')) tell(`FAIL ${file} > ${test.fullName}`, test.result().errors ?? []);
    }
    tell('UNHANDLED', unhandled);
    writeFileSync(process.env.RDBKIT_TEST_FAILURES, found.join('\n\n') + '\n');
  }
}
