import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { copyCounts, copyGraphContract, copyPartContract, type planCopyContract } from '../../transfer/contracts.js';
import type { InputOf, ResultOf } from '../../rows/step-contract.js';
import { partName } from '../../transfer/part-name.js';
import { StepFailed, step, stepAll, type StepContext } from './step.js';
import { answered, callSub, subInput, type SubAnswer } from './sub-orchestration.js';

export type Copy = InputOf<typeof copyGraphContract>;
type Counts = ResultOf<typeof copyGraphContract>;
type Planned = Extract<ResultOf<typeof planCopyContract>, { state: 'planned' }>;

/** Calls of parts in one sub-orchestration, and at once in it: replaying is quadratic in them. */
const MOST_CALLS = 100;
const AT_ONCE = 10;
/** Sub-orchestrations of one wave: its parts take ten at most, the largest layer that ACR takes sixty by the smallest stretches. */
const MOST_SUBS = 100;

const partsInput = copyPartContract.input
  .pick({ runId: true, source: true, destination: true, credential: true, receipt: true })
  .extend({ folder: z.string(), wave: z.number(), parts: z.array(z.number()) });
const partsResult = copyCounts.extend({
  /** Parts that are to be gone on with. */
  open: z.array(z.number()),
});

const NONE: Counts = { copied: 0, existed: 0, mounted: 0, bytes: 0 };

function sum(a: Counts, b: Counts): Counts {
  return {
    copied: a.copied + b.copied,
    existed: a.existed + b.existed,
    mounted: a.mounted + b.mounted,
    bytes: a.bytes + b.bytes,
  };
}

/**
 * Copies what was planned: in one activity as a rule. What is too much for one is done wave by wave, each by sub-orchestrations of
 * a bounded number of calls, whose inputs and results are numbers: history doesn't grow with what is copied. @throws StepFailed
 */
export function* copyPlanned(
  context: StepContext,
  { parts }: Pick<Planned, 'parts'>,
  copy: Copy,
): Generator<Task, Counts, unknown> {
  if (parts === undefined) return yield* step(context, copyGraphContract, copy);
  const { runId, source, destination, credential, receipt } = copy;
  let counts = NONE;
  for (const [wave, count] of parts.waves.entries()) {
    let open = Array.from({ length: count }, (_, index) => index);
    for (let sub = 0; open.length > 0; sub += 1) {
      if (sub >= MOST_SUBS) {
        throw new StepFailed({
          code: 'COPY_TOO_LONG',
          message: `wave ${wave + 1} of ${parts.waves.length} has not come to its end in ${sub * MOST_CALLS} calls`,
          remedy: 'Ask again: what has arrived stays. Look how fast the two registries are.',
          refused: false,
        });
      }
      const input: z.infer<typeof partsInput> = {
        runId,
        source,
        destination,
        folder: parts.folder,
        wave,
        parts: open.slice(0, MOST_CALLS),
        ...(credential !== undefined && { credential }),
        ...(receipt !== undefined && { receipt }),
      };
      const result = yield* callSub(context, 'copyParts', partsResult, input, `${runId}-copy-${wave}-${sub}`);
      counts = sum(counts, result);
      open = [...result.open, ...open.slice(MOST_CALLS)];
    }
  }
  return counts;
}

/** Some parts of one wave. */
export function* copyParts(
  context: OrchestrationContext,
): Generator<Task, SubAnswer<z.infer<typeof partsResult>>, unknown> {
  const input = partsInput.extend(subInput.shape).parse(context.df.getInput());
  const { folder, wave, parts, giveUpAtMs: _until, ...copy } = input;
  return yield* answered(context, input, function* (waiting) {
    let open = parts;
    let counts = NONE;
    for (let calls = 0; open.length > 0 && calls < MOST_CALLS;) {
      const some = open.slice(0, Math.min(AT_ONCE, MOST_CALLS - calls));
      calls += some.length;
      const results = yield* stepAll(
        waiting,
        copyPartContract,
        some.map((part) => ({ ...copy, part: partName(folder, wave, part), label: `${wave + 1}.${part + 1}` })),
      );
      for (const result of results) counts = sum(counts, result);
      open = [...some.filter((_, index) => results[index]?.more === true), ...open.slice(some.length)];
    }
    return { ...counts, open };
  });
}
