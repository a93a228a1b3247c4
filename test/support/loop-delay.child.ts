// NODE_OPTIONS=--import loads this file before a process's own program. SIGUSR2 starts to measure the delay of its event loop; the
// next SIGUSR2 stops and writes the result to FOLDER/PID.json. This file's URL has the folder: loop-delay.child.ts?folder=FOLDER.
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/** Delay of an event loop, in milliseconds. */
export interface LoopDelay {
  p99Ms: number;
  maxMs: number;
  /** The most processor time of the main thread between two turns. A busy machine does not change it. */
  longestTurnMs: number;
}

const EVERY_MS = 5;
const folder = new URL(import.meta.url).searchParams.get('folder');

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function measure(): () => LoopDelay {
  const delay = monitorEventLoopDelay({ resolution: EVERY_MS });
  let [longestTurnMs, lastMs] = [0, processorMs()];
  const timer = setInterval(() => {
    const now = processorMs();
    longestTurnMs = Math.max(longestTurnMs, now - lastMs);
    lastMs = now;
  }, EVERY_MS).unref();
  delay.enable();
  return () => {
    clearInterval(timer);
    delay.disable();
    return { p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6, longestTurnMs };
  };
}

if (isMainThread && folder !== null) {
  let end: (() => LoopDelay) | undefined;
  process.on('SIGUSR2', () => {
    if (end === undefined) {
      end = measure();
      return;
    }
    const path = `${folder}/${process.pid}.json`;
    writeFileSync(`${path}.new`, JSON.stringify(end()));
    renameSync(`${path}.new`, path);
    end = undefined;
  });
}
