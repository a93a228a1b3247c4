// A thread that reads changed inputs with one reader, and says what went wrong first.
import { parentPort } from 'node:worker_threads';
import { allocatedBytes, countAllocations } from '../fuzz/allocations.js';
import { READERS } from '../fuzz/readers.js';
import { randomOf } from '../interop/layers/mutated-layers.js';

export interface Task {
  reader: string;
  tries: number;
  seed: number;
}

export interface Answer {
  tried: number;
  /** The most bytes that reading one input has asked for. */
  mostAllocated: number;
  /** What went wrong, and the input in base64. */
  failure?: { message: string; input: string };
}

/** An input has at most 16 KiB, and states lengths of gigabytes. */
const MOST_ALLOCATED = 8 * 1024 ** 2;

async function work({ reader: name, tries, seed }: Task): Promise<Answer> {
  const reader = READERS.find((each) => each.name === name);
  if (reader === undefined) throw new Error(`there is no reader ${name}`);
  const random = randomOf(seed);
  const seeds = reader.seeds();
  let mostAllocated = 0;
  for (let tried = 0; tried < tries; tried += 1) {
    const input = tried < seeds.length ? (seeds[tried] ?? Buffer.alloc(0)) : reader.make(random, seeds);
    const before = allocatedBytes();
    try {
      const chunkBytes = tried % 4 === 0 ? 1 + Math.floor(random() ** 3 * 4096) : 0;
      await reader.read(input, { chunkBytes, thoroughly: tried % 200 === 0 });
      const allocated = allocatedBytes() - before;
      mostAllocated = Math.max(mostAllocated, allocated);
      if (allocated > MOST_ALLOCATED) throw new Error(`it asked for ${allocated} bytes of memory`);
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { tried, mostAllocated, failure: { message, input: input.toString('base64') } };
    }
  }
  return { tried: tries, mostAllocated };
}

countAllocations();
parentPort?.on('message', (task: Task) => void work(task).then((answer) => parentPort?.postMessage(answer, [])));
