import { describe, expect, test } from 'vitest';
import { blocks, examplesOf, pages, root } from '../support/docs-pages.js';
import { DocsServers, isServerOfDocs, SCENES, steady } from '../support/docs-servers.js';
import { PATH } from '../support/processes.js';

describe.skipIf(!isServerOfDocs())('the output shown in the docs is that with a real server', () => {
  for (const scene of SCENES) {
    for (const page of pages) {
      const all = blocks(page, new RegExp(`^<!-- ${scene} -->$`)).map(examplesOf);
      if (all.length === 0) continue;
      test(`${page}: ${scene}`, async () => {
        const servers = await DocsServers.start(scene, root);
        try {
          for (const block of all) {
            const shown = await servers.run(block.map(([command]) => command), PATH);
            expect(block.map(([command], i) => [command, steady(shown[i])])).toEqual(block.map(([command, output]) => [command, steady(output)]));
          }
        } finally {
          await servers.stop();
        }
      });
    }
  }
});
