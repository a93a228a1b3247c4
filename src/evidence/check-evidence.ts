import type { Promotions } from '../ports/promotions.js';
import { demandsEvidence, fingerprint } from '../rules/rule.js';
import { writeGatePassed, readOwned, openedBy } from '../rows/row-writes.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { checkEvidenceContract } from './contracts.js';
import { lookAtGate } from './gate-look.js';
import { recordKey } from './signature-checks.js';
import { longStep } from '../transfer/long-step.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { readSourceTag } from '../transfer/tag.js';

/**
 * Gate 1: checks that the evidence that the rule requires is there and verifies. No key of this app, present or former,
 * ever satisfies it. A passed check is written to the row, so that this digest is not checked again under this rule.
 * All looks of a run use one checkpoint: a later look does not check a bad signature again.
 */
export async function checkEvidenceStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'signer' | 'callBounds' | 'now'> & StorePort<Promotions>,
  { promotionId, runId, root, look }: InputOf<typeof checkEvidenceContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof checkEvidenceContract>>> {
  const { signal, progress } = call;
  const opened = openedBy(call);
  const { rule, source } = opened;
  // Read the row before the referrers are listed. A trigger that comes after this is not answered by this check.
  const row = await readOwned(ports, promotionId, runId);
  if (row === undefined) return { done: { state: 'gone' } };
  const { read } = await readSourceTag(ports, opened, row, call);
  if (read.digest !== root.digest) return { done: { state: 'superseded' } };
  if (ports.signer !== undefined) await recordKey(ports, ports.signer);
  const repository = ports.registries.repository(source.registry, source.repository);
  const { signatures } = rule.verify;
  const reply = await longStep(ports, 'checkEvidence', { runId }, call, async (step) => {
    const looked = await lookAtGate(ports, step, repository, root, signatures, { signal, look });
    if (!looked.decision.passed) await step.endInOrder();
    return looked;
  });
  if (!('done' in reply)) return reply;
  const { decision, evidence } = reply.done;
  const { generation } = row;
  if (decision.passed) {
    progress.text(
      decision.evidence.map(({ signedBy }) => `signed by ${signedBy}`).join('; ') || 'the rule asks for none',
    );
    const gate = { digest: root.digest, fingerprint: fingerprint(rule) };
    const isNoted = !demandsEvidence(rule) || (await writeGatePassed(ports, promotionId, runId, gate));
    return { done: isNoted ? { state: 'passed', generation } : { state: 'gone' } };
  }
  const reasons = decision.reasons.slice(0, 20);
  progress.text(reasons.join('; '));
  return { done: { state: 'closed', generation, evidence, reasons } };
}
