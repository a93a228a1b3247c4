import { openedBy } from '../../rows/row-writes.js';
import {
  CopyError,
  PolicyError,
  PromoterError,
  VerificationError,
  formatReference,
  type Registries,
} from '../../oci/index.js';
import { destinationOf, type TagName } from '../../rules/match.js';
import { promotionId, type Rule } from '../../rules/rule.js';
import { promote, type Result } from '../../promotions/promote.js';
import type { RulesSource } from '../../ports/rules-source.js';
import type { PromotionRow } from '../../rows/promotion-row.js';
import type { RunRow } from '../../rows/run-row.js';
import { newRunId } from '../../rows/open-run.js';
import type { Signer } from '../../signing/index.js';
import { attachStep } from '../../evidence/attach.js';
import { checkEvidenceStep } from '../../evidence/check-evidence.js';
import { attachContract, checkEvidenceContract } from '../../evidence/contracts.js';
import { closeRunContract, markWaitingContract, observeContract } from '../../promotions/contracts.js';
import { copyContract, tagDestinationContract, verifyArrivalContract } from '../../transfer/contracts.js';
import type { InputOf, ResultOf, StepContract } from '../../rows/step-contract.js';
import { copyRequestOfPromotion, copyStep, verifyArrivalStep } from '../../transfer/copy.js';
import { observeStep } from '../../promotions/observe.js';
import type { Ports } from '../../ports/ports.js';
import type { StepCall, StepReply } from '../../ports/step.js';
import { tagDestinationStep } from '../../transfer/tag.js';
import type { z } from 'zod';
import type { Io } from '../io.js';
import { driveHere } from '../local-driver.js';
import type { PromotionOutcome } from '../output/promotion-lines.js';
import { onTerminal } from '../output/status-line.js';
import type { Values } from '../verb.js';
import { createLocalPorts, doStep, type LocalPorts, type StepView } from './local-run.js';
import { createLocalStore } from './local-store.js';
import { newRow } from '../../rows/generation.js';

/** Maximum attempts if the source tag moves during the promotion. */
const TRIES = 3;

export interface LocalPromotion {
  rule: Rule;
  source: TagName;
  registries: Registries;
  listing: Ports['listing'];
  rules: RulesSource;
  signer: Signer | undefined;
  /** The options of the command. */
  values: Values;
  /** Receives a line for each finding and each change. */
  tell: (line: string) => void;
}

/** The outcome of one rule for one tag. */
export interface LocalOutcome extends PromotionOutcome {
  outcome: 'promoted' | 'unchanged' | 'observed';
}

type PromotionPorts = LocalPorts & Pick<Ports, 'listing'> & { rules: RulesSource };

/**
 * Promotes one tag by a rule, with the app's order and steps. A closed gate is an error: the command line does not wait.
 * @throws PolicyError `DESTINATION_LOCKED`, …; VerificationError `EVIDENCE_MISSING`; CopyError `SOURCE_TAG_MOVED`; as the steps
 */
export async function promoteTag(io: Io, promotion: LocalPromotion): Promise<LocalOutcome> {
  const { rule, source, tell } = promotion;
  const destination = formatReference(destinationOf(rule, source));
  const about = { rule: rule.name, source: formatReference(source), destination };
  for (let tries = 0; tries < TRIES; tries += 1) {
    const result = await attempt(io, promotion, destination);
    if (result?.outcome !== 'superseded') return { ...about, ...outcomeOf(result) };
    tell('Moved     the source tag has changed: starting again');
  }
  throw new CopyError('SOURCE_TAG_MOVED', `${about.source} changed during each of ${TRIES} attempts`, {
    remedy: 'Repeat the command when nobody pushes to the tag.',
  });
}

function outcomeOf(result: Result | null): Pick<LocalOutcome, 'outcome' | 'digest' | 'reason'> {
  // The rows of this command belong to its one run, so no other run can take over.
  if (result === null) throw new Error('the promotion has ended without an outcome');
  const { outcome, code, reason, remedy, digest } = result;
  if (outcome === 'promoted' || outcome === 'unchanged' || outcome === 'observed') {
    return { outcome, ...(reason !== undefined && { reason }), ...(digest !== undefined && { digest }) };
  }
  const ErrorClass = outcome === 'refused' ? PolicyError : PromoterError;
  throw new ErrorClass(code ?? outcome, reason ?? outcome, remedy === undefined ? {} : { remedy });
}

async function attempt(io: Io, promotion: LocalPromotion, destination: string): Promise<Result | null> {
  const { rule, source } = promotion;
  const key = { promotionId: promotionId(rule.name, source), runId: newRunId(Date.now()) };
  const rows = rowsOf(promotion, key, destination);
  const ports: PromotionPorts = {
    ...createLocalPorts(promotion.registries, promotion.signer, { store: createLocalStore(rows), env: io.env }),
    listing: promotion.listing,
    rules: promotion.rules,
  };
  const perform = stepsHere(io, ports, promotion, rows.run, destination);
  const neverWaits = (): never => {
    throw new Error('a gate is waited for on the command line');
  };
  return driveHere(promote(key), (step, input) => perform(step.name, input), neverWaits);
}

/** The steps of a promotion, by name. */
function stepsHere(
  io: Io,
  ports: PromotionPorts,
  { tell, values }: LocalPromotion,
  run: RunRow,
  destination: string,
): (name: string, input: object) => Promise<unknown> {
  const steps = new Map<string, (input: object) => Promise<unknown>>();
  const add = <I extends z.ZodType, R extends z.ZodType>(
    contract: StepContract<I, R>,
    view: StepView | ((input: z.infer<I>) => StepView),
    step: (input: z.infer<I>, call: StepCall) => Promise<StepReply<z.infer<R>>>,
  ): void => {
    steps.set(contract.name, (raw) => {
      const input = contract.input.parse(raw);
      return doStep(io, (call) => step(input, call), { ...(typeof view === 'function' ? view(input) : view), run });
    });
  };
  const saying = (verb: string): StepView => ({ tell: (text) => tell(lineOf(verb, text)) });
  const request = copyRequestOfPromotion(openedBy({ run }));
  const copyBar = { values, word: 'Copying', title: destination };
  add(observeContract, saying('Observed'), (input, call) => observeStep(ports, input, call));
  add(checkEvidenceContract, saying('Checked'), (input, call) => checkEvidenceStep(ports, input, call));
  add(markWaitingContract, {}, refuse);
  add(
    attachContract,
    {
      parts: {
        values,
        word: 'Reading',
        tell: (step, label, text) => tell(lineOf(VERBS[step] ?? step, `${label}: ${text}`)),
      },
    },
    (input, call) => attachStep(ports, input, call),
  );
  add(
    copyContract,
    ({ root }) => ({ ...saying('Copied'), ...(root !== undefined && { bar: { ...copyBar, digest: root } }) }),
    (input, call) => copyStep(ports, request, input, call),
  );
  add(verifyArrivalContract, saying('Arrived'), (input, call) => verifyArrivalStep(ports, request, input, call));
  add(tagDestinationContract, saying('Tagged'), (input, call) => tagDestinationStep(ports, input, call));
  // The rows are in memory: nothing to close.
  add(closeRunContract, {}, async () => ({ done: 'closed' as const }));
  return async (name, input) => {
    const step = steps.get(name);
    if (step === undefined) throw new Error(`the command line has no step ${name}`);
    return step(input);
  };
}

/** The verbs of lines about parts of a step. */
const VERBS: Readonly<Record<string, string>> = { attachSbom: 'SBOM', attachSignature: 'Signature' };

function refuse({
  reasons,
}: InputOf<typeof markWaitingContract>): Promise<StepReply<ResultOf<typeof markWaitingContract>>> {
  throw new VerificationError('EVIDENCE_MISSING', reasons.join('; '), {
    remedy:
      'Sign the image as the rule demands, then repeat the command. The deployed app waits for signatures: use --submit.',
  });
}

/** `Verb      text of the step` */
function lineOf(verb: string, text: string): string {
  return `${verb.padEnd(9)} ${onTerminal(text)}`;
}

/** The rows of a promotion and of its first run. */
function rowsOf(
  { rule, source }: LocalPromotion,
  { promotionId: id, runId }: { promotionId: string; runId: string },
  destination: string,
): { row: PromotionRow; run: RunRow } {
  const now = new Date();
  const openedAt = now.toISOString();
  const opened = { generation: 1, runId, runOpen: true, runOpenedAt: openedAt };
  return {
    row: { ...newRow(id, rule, source, now), ...opened },
    run: {
      id: runId,
      input: { kind: 'promotion', runId, promotionId: id, rule, source, destination },
      state: 'pending',
      openedAt,
    },
  };
}
