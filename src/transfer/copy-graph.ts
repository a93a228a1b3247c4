import { setTimeout as sleep } from 'node:timers/promises';
import { copyGraph, verifyArrival, type CopyReport } from '../oci/index.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { copyGraphContract, verifyArrivalContract } from './contracts.js';
import { keepArrival, keepingNotes, type CopyNotes } from './copy-report.js';
import { readPlan } from './kept-plan.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';
import { writeAtDestination } from './refused-write.js';
import { inStretches, isMore } from './stretch.js';

/**
 * Copies what a plan names: in one registry blobs are mounted, between two they are streamed. What is there stays.
 * @throws CopyError; PolicyError `DESTINATION_LOCKED`
 */
export async function copyGraphStep(
  ports: Pick<Ports, 'registries' | 'documents'>,
  input: InputOf<typeof copyGraphContract>,
  { signal, progress }: StepCall,
): Promise<ResultOf<typeof copyGraphContract>> {
  const plan = await readPlan(ports, input.plan);
  const { source, destination } = input;
  const from = ports.registries.repository(source.registry, source.repository);
  const to = ports.registries.repository(destination.registry, destination.repository);
  const work = (notes?: CopyNotes): Promise<CopyReport> =>
    writeAtDestination(to.name, () =>
      copyGraph(plan, from, to, {
        ...(source.registry === destination.registry && { mountFrom: [source.repository] }),
        signal,
        onProgress: (told) => {
          progress.bytes(told.movedBytes, told.totalBytes);
          progress.nodes(told.nodesDone, told.nodesTotal);
          notes?.tell(told);
        },
      }),
    );
  const report = await (input.receipt === true ? keepingNotes(ports, input.plan, work) : work());
  const counts = {
    copied: report.copied.length,
    existed: report.existed.length,
    mounted: report.mounted.length,
    bytes: report.movedBytes,
  };
  progress.text(
    `${counts.copied} copied, ${counts.mounted} mounted, ${counts.existed} were there, ${counts.bytes} bytes moved`,
  );
  return counts;
}

/**
 * Asks the destination, in stretches, whether all has arrived; puts again, singly, what it lost. @throws CopyError `MANIFEST_LOST`,
 * `REFERRER_LOST`, `TAG_LOST`; PolicyError `DESTINATION_LOCKED`
 */
export async function verifyArrivalStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'stretch' | 'now'>,
  input: InputOf<typeof verifyArrivalContract>,
  call: StepCall,
): Promise<ResultOf<typeof verifyArrivalContract>> {
  const { signal, progress } = call;
  const plan = await readPlan(ports, input.plan);
  const { source, destination } = input;
  const arrived = await inStretches(ports, 'verifyArrival', input, call, (stretch) => {
    const to = (round?: number) => stretch.repository(destination.registry, destination.repository, round);
    const verify = () =>
      verifyArrival(plan, to(), {
        source: stretch.repository(source.registry, source.repository),
        after: async (round, waitMs) => {
          await stretch.once(`pause ${round}`, () => sleep(waitMs, undefined, { signal }));
          return to(round);
        },
        signal,
        onAsked: (done, total) => progress.nodes(done, total),
      });
    return writeAtDestination(to().name, verify);
  });
  if (isMore(arrived)) return arrived;
  if (input.receipt === true) await keepArrival(ports, input.plan, arrived);
  const { restored } = arrived;
  progress.text(restored.length === 0 ? 'all there' : `${restored.length} put again`);
  return { repaired: restored.length };
}
