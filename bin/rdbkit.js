#!/usr/bin/env node
import { run } from '../dist/bin/process.js';

await run();
