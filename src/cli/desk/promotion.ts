import {
  CopyError,
  PolicyError,
  VerificationError,
  formatReference,
  parseReference,
  type Registries,
} from '../../oci/index.js';
import { destinationOf } from '../../rules/destination.js';
import type { TagName } from '../../rules/match.js';
import { promotionId } from '../../rules/promotion-id.js';
import type { Rule } from '../../rules/rule.js';
import type { RulesSource } from '../../ports/rules-source.js';
import { newRunId } from '../../rows/run-id.js';
import type { Signer } from '../../signing/index.js';
import { attachSbomStep } from '../../evidence/attach-sbom.js';
import { attachSignatureStep } from '../../evidence/attach-signature.js';
import { checkEvidenceStep } from '../../evidence/check-evidence.js';
import type { Image } from '../../evidence/contracts.js';
import type { More } from '../../transfer/contracts.js';
import { copyGraphStep, verifyArrivalStep } from '../../transfer/copy-graph.js';
import { observeStep } from '../../promotions/observe.js';
import { planCopyStep } from '../../transfer/plan-copy.js';
import type { Ports } from '../../ports/ports.js';
import type { StepCall, StepReply } from '../../ports/step.js';
import { isMore } from '../../transfer/stretch.js';
import { tagDestinationStep } from '../../promotions/tag-destination.js';
import type { Io } from '../io.js';
import type { PromotionOutcome } from '../output/promotion-lines.js';
import { onTerminal } from '../output/status-line.js';
import type { Values } from '../verb.js';
import { createDeskPorts, doStep, type DeskPorts } from './desk.js';
import { createDeskStore } from './desk-store.js';

/** How often a promotion begins anew because the tag at the source has moved on meanwhile. */
const TRIES = 3;

export interface DeskPromotion {
  rule: Rule;
  source: TagName;
  registries: Registries;
  listing: Ports['listing'];
  rules: RulesSource;
  signer: Signer | undefined;
  /** Of the command: whether bars are wanted. */
  values: Values;
  /** A line for each thing that was found or done. */
  tell: (line: string) => void;
}

/** What came of one rule on one tag. */
export interface DeskOutcome extends PromotionOutcome {
  outcome: 'promoted' | 'unchanged' | 'observed';
}

type PromotionPorts = DeskPorts & Pick<Ports, 'listing' | 'copyParts' | 'stretch'> & { rules: RulesSource };

/**
 * Does for one tag what a rule says, with the steps of the app in their order: look, gate 1 (once: nobody waits here), SBOMs,
 * signatures, copy with all that refers to it, arrival, tag. Nothing differs: nothing is written.
 * @throws PolicyError `DESTINATION_LOCKED`, …; VerificationError `EVIDENCE_MISSING`; CopyError `SOURCE_TAG_MOVED`; as the steps
 */
export async function promoteTag(io: Io, promotion: DeskPromotion): Promise<DeskOutcome> {
  const { rule, source } = promotion;
  const destination = formatReference(destinationOf(rule, source));
  const about = { rule: rule.name, source: formatReference(source), destination };
  for (let tries = 0; tries < TRIES; tries += 1) {
    const result = await attempt(io, promotion, destination);
    if (result !== 'superseded') return { ...about, ...result };
    promotion.tell('Moved     the tag at the source has moved on: once more');
  }
  throw new CopyError('SOURCE_TAG_MOVED', `${about.source} moved on each time it was about to be promoted`, {
    remedy: 'Do it again when nobody pushes that tag any more.',
  });
}

type Attempt = Pick<DeskOutcome, 'outcome' | 'digest' | 'reason'> | 'superseded';

async function attempt(io: Io, promotion: DeskPromotion, destination: string): Promise<Attempt> {
  const { rule, source, tell } = promotion;
  const owner = { promotionId: promotionId(rule.name, source), runId: newRunId(Date.now()) };
  const ports = portsOf(promotion, owner, destination);
  const about = { ...owner, rule, source, destination };
  const plain = <T>(verb: string, step: (call: StepCall) => Promise<T>): Promise<T> =>
    doStep(io, async (call) => ({ done: await step(call) }), { tell: said(tell, verb) });

  const observed = whole(await plain('Observed', (call) => observeStep(ports, about, call)));
  if (observed.state === 'refused') {
    const { code, reason, remedy } = observed;
    throw new PolicyError(code, reason, remedy === undefined ? {} : { remedy });
  }
  if (observed.state === 'nothing') {
    const { reason, digest } = observed;
    return { outcome: 'unchanged', reason, ...(digest !== undefined && { digest }) };
  }
  const { root, images, differences } = observed;
  const { digest } = root;
  const isSame = differences.length === 0;
  if (rule.mode === 'observe' && !isSame) return { outcome: 'observed', digest, reason: differences.join('; ') };

  // No row says here that it passed before: it is asked each time.
  if (rule.verify.signatures.length > 0) {
    const gate = await doStep(io, (call) => checkEvidenceStep(ports, { ...owner, rule, source, root }, call), {
      tell: said(tell, 'Checked'),
    });
    if (gate.state === 'closed') {
      if (rule.mode === 'observe') {
        return { outcome: 'observed', digest, reason: `evidence is missing: ${gate.reasons.join('; ')}` };
      }
      throw new VerificationError('EVIDENCE_MISSING', gate.reasons.join('; '), {
        remedy: 'Sign the image as the rule asks, then do it again; the deployed app waits for it.',
      });
    }
    if (gate.state !== 'passed') return 'superseded';
  }
  if (isSame) return { outcome: 'unchanged', digest };
  if (rule.attachTo === 'source') await attach(io, ports, promotion, images, { destination });
  const { registry, repository } = parseReference(destination);
  const to = { registry, repository };
  const from = { registry: source.registry, repository: source.repository };
  const { runId } = owner;
  const planned = {
    runId,
    source: from,
    root: digest,
    tag: source.tag,
    recursive: true,
    excludeArtifactTypes: rule.referrers.excludeArtifactTypes,
    destination: to,
  };
  const plan = whole(await plain('Planned', (call) => planCopyStep(ports, planned, call)));
  if (plan.state === 'superseded') return 'superseded';
  const copy = { runId, plan: plan.plan, source: from, destination: to };
  await doStep(io, async (call) => ({ done: await copyGraphStep(ports, copy, call) }), {
    tell: said(tell, 'Copied'),
    bar: { values: promotion.values, word: 'Copying', title: destination, digest },
  });
  await plain('Arrived', (call) => verifyArrivalStep(ports, copy, call));
  if (rule.attachTo === 'destination') await attach(io, ports, promotion, images, { at: to });
  const tagged = await doStep(io, (call) => tagDestinationStep(ports, { ...about, root }, call), {
    tell: said(tell, 'Tagged'),
  });
  return tagged === 'tagged' ? { outcome: 'promoted', digest } : 'superseded';
}

/** What comes of a step whose stretches have no bounds. */
function whole<T extends object>(result: T): Exclude<T, More> {
  if (isMore(result)) throw new Error('a stretch without bounds has ended');
  return result as Exclude<T, More>;
}

/** SBOMs first, then our signatures over the root and its children. */
async function attach(
  io: Io,
  ports: DeskPorts,
  { rule, source, tell, values }: DeskPromotion,
  images: readonly Image[],
  to: { at: { registry: string; repository: string } } | { destination: string },
): Promise<void> {
  const where = { source, ...to };
  const each = <T>(
    verb: string,
    { label, digest }: Image,
    step: (call: StepCall) => Promise<StepReply<T>>,
  ): Promise<T> =>
    doStep(io, step, {
      tell: said(tell, verb, label),
      bar: { values, word: 'Reading', title: label, digest },
    });
  for (const image of images) {
    if (!image.sbom || rule.sbom.formats.length === 0) continue;
    await each('SBOM', image, (call) => attachSbomStep(ports, { ...where, rule, image }, call));
  }
  if (rule.sign.length === 0) return;
  for (const image of images) {
    const { mediaType, digest, size } = image;
    const subject = { mediaType, digest, size };
    await each('Signature', image, (call) => attachSignatureStep(ports, { ...where, subject }, call));
  }
}

/** `Verb      label: what the step says of itself` */
function said(tell: (line: string) => void, verb: string, label?: string): (text: string) => void {
  return (text) => tell(`${verb.padEnd(9)} ${onTerminal(label === undefined ? text : `${label}: ${text}`)}`);
}

function portsOf(
  { rule, source, registries, listing, rules, signer }: DeskPromotion,
  { promotionId: id, runId }: { promotionId: string; runId: string },
  destination: string,
): PromotionPorts {
  const at = new Date().toISOString();
  const store = createDeskStore({
    row: {
      id,
      rule: rule.name,
      source,
      destination,
      wanted: 1,
      wantedAt: at,
      answered: 0,
      state: 'working',
      runId,
      runOpen: true,
      runOpenedAt: at,
      runBegun: true,
      failures: 0,
    },
    run: {
      id: runId,
      input: { kind: 'promotion', runId, promotionId: id, rule, source, destination },
      state: 'running',
      openedAt: at,
    },
  });
  // One process does it all: a copy is never split, and a look is one stretch.
  const copyParts = { bytes: Number.MAX_SAFE_INTEGER, nodes: Number.MAX_SAFE_INTEGER };
  const stretch = { ms: Infinity, requests: Infinity, bytes: Infinity };
  return { ...createDeskPorts(registries, signer, store), listing, rules, copyParts, stretch };
}
