import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // vitest leaves a core free by default, and two are all there are on small machines
    maxWorkers: '100%',
    testTimeout: 120_000,
  },
});
