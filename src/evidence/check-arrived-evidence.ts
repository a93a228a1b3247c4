import { CopyError, rememberReads, type Descriptor, type ReadableRepository } from '../oci/index.js';
import type { Rule, SourceRepository } from '../rules/rule.js';
import { CYCLONEDX_JSON } from '../sbom/index.js';
import { NOTARY_SIGNATURE } from '../signing/index.js';
import { classifyGraph } from './classify.js';
import { attachmentDifferences } from './differences.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { longStep } from '../transfer/long-step.js';

/** What is missing that a message names; of more it has the number. */
const NAMED = 5;
/** How long it is looked at without keeping what was found, in milliseconds: nearly all graphs take less. At most a turn. */
const BRIEF_MS = 10_000;

type CheckPorts = Pick<Ports, 'registries' | 'signer' | 'documents' | 'callBounds' | 'now'>;

/**
 * Checks that what the rule attaches is at the destination: anybody who may delete or overwrite at the source can take it away before the
 * copy.
 * A graph with so many signatures that this takes long is gone on with in the next call.
 * @throws CopyError `EVIDENCE_LOST`, which names what is missing; as {@link classifyGraph}
 */
export async function checkArrivedEvidence(
  ports: CheckPorts,
  rule: Rule,
  { registry, repository }: SourceRepository,
  { runId, root }: { runId: string; root: Descriptor },
  call: StepCall,
): Promise<StepReply<'arrived'>> {
  const travelling = withoutExcluded(rule);
  if (travelling.sbom.formats.length === 0 && travelling.sign.length === 0) return { done: 'arrived' };
  const brief = AbortSignal.timeout(Math.min(BRIEF_MS, ports.callBounds.turnMs));
  try {
    const at = rememberReads(ports.registries.repository(registry, repository));
    return { done: await check(ports, travelling, at, root, AbortSignal.any([call.signal, brief])) };
  } catch (error) {
    if (call.signal.aborted || !brief.aborted) throw error;
  }
  return longStep(ports, 'checkArrivedEvidence', { runId }, call, (step) =>
    check(ports, travelling, step.repository(registry, repository), root, call.signal),
  );
}

async function check(
  ports: CheckPorts,
  travelling: Rule,
  at: ReadableRepository,
  root: Descriptor,
  signal: AbortSignal,
): Promise<'arrived'> {
  const { images } = await classifyGraph(at, root, signal);
  const lacking = await attachmentDifferences(ports, travelling, at, images, signal);
  if (lacking.length === 0) return 'arrived';
  const more = lacking.length > NAMED ? `; and ${lacking.length - NAMED} more` : '';
  const named = `${lacking.slice(0, NAMED).join('; ')}${more}`;
  throw new CopyError('EVIDENCE_LOST', `${at.name}@${root.digest} arrived incomplete: ${named}`, {
    remedy:
      'Somebody deleted the attachment at the source or the destination, or overwrote a list of referrers (a tag `sha256-…`): see who may push and delete there. The schedule tries again.',
  });
}

/** The rule without what it keeps from travelling: that is attached at the source, and stays there. */
function withoutExcluded(rule: Rule): Rule {
  if (rule.attachTo === 'destination') return rule;
  const excluded = rule.referrers.excludeArtifactTypes;
  return {
    ...rule,
    ...(excluded.includes(CYCLONEDX_JSON) && { sbom: { ...rule.sbom, formats: [] } }),
    ...(excluded.includes(NOTARY_SIGNATURE) && { sign: [] }),
  };
}
