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
    const found = [];
    for (const module of modules) {
      for (const error of module.errors()) {
        found.push(`FAIL ${module.relativeModuleId}\n${said(error)}`);
      }
      for (const suite of module.children.allSuites()) {
        for (const error of suite.errors()) {
          found.push(`FAIL ${module.relativeModuleId} > ${suite.fullName}\n${said(error)}`);
        }
      }
      for (const test of module.children.allTests('failed')) {
        for (const error of test.result().errors ?? []) {
          found.push(`FAIL ${module.relativeModuleId} > ${test.fullName}\n${said(error)}`);
        }
      }
    }
    for (const error of unhandled) {
      found.push(`UNHANDLED ${said(error)}`);
    }
    writeFileSync(process.env.RDBKIT_TEST_FAILURES, [`The run ${reason}.`, ...found].join('\n\n') + '\n');
  }
}
