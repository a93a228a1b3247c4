import { setTimeout as sleep } from 'node:timers/promises';
import { verifyArrival } from '../oci/index.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { verifyArrivalContract } from './contracts.js';
import { keepArrival } from './copy-report.js';
import type { CopyRequest } from './copy-request.js';
import { planNameOf, readPlan } from './kept-plan.js';
import { longStep } from './long-step.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { writeAtDestination } from './refused-write.js';

/**
 * Asks the destination whether all has arrived that was copied; puts again, one by one, what it lost.
 * @throws CopyError `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST`; PolicyError `DESTINATION_LOCKED`
 */
export async function verifyArrivalStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'>,
  { source, destination, receipt }: CopyRequest,
  input: InputOf<typeof verifyArrivalContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof verifyArrivalContract>>> {
  const { signal, progress } = call;
  const plan = await readPlan(ports, planNameOf(input.runId));
  const arrived = await longStep(ports, 'verifyArrival', input, call, (step) => {
    const to = (round?: number) => step.repository(destination.registry, destination.repository, round);
    const verify = () =>
      verifyArrival(plan, to(), {
        source: step.repository(source.registry, source.repository),
        after: async (round, waitMs) => {
          await step.once(`pause ${round}`, () => sleep(waitMs, null, { signal }));
          return to(round);
        },
        signal,
        onAsked: (done, total) => progress.nodes(done, total),
      });
    return writeAtDestination(to().name, verify);
  });
  if (!('done' in arrived)) return arrived;
  if (receipt === true) await keepArrival(ports, input.runId, arrived.done);
  const { restored } = arrived.done;
  progress.text(restored.length === 0 ? 'all there' : `${restored.length} put again`);
  return { done: { repaired: restored.length } };
}
