// Writes the tables of docs/explanation/benchmarks.md from what the last `npm run test:full` (or a benchmark by hand) kept in out/bench.
// usage: node --import ./test/support/typescript-loader.mjs test/bench/write-report.child.ts
import { writeReport } from './report.js';

writeReport();
