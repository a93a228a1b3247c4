import { ConfigurationError, VerificationError, type Descriptor } from '../../oci/index.js';
import type { GateDecision } from '../../rules/gate.js';
import { matchRules } from '../../rules/match.js';
import type { SignaturePolicy } from '../../rules/rule.js';
import { attachSignatureStep } from '../../evidence/attach-signature.js';
import { classifyGraph } from '../../evidence/classify.js';
import { lookAtGate } from '../../evidence/gate-look.js';
import { signatureLine, type SignedManifest } from '../output/evidence-lines.js';
import type { Io } from '../io.js';
import type { OpenTarget } from '../connection/session.js';
import type { Values } from '../verb.js';
import { createLocalDocuments } from './local-store.js';
import { createLocalPorts, doStep, nameOf, registriesOf } from './local-run.js';
import { chooseRules, rulesHere } from './rules-file.js';
import { readSigner } from './signer.js';

type Opened = OpenTarget & { root: Descriptor };

/**
 * Our signature over the target, and with `recursive` over all that its indexes list. @param tell a line for each
 * @throws ConfigurationError `SIGNING_KEY_MISSING`
 */
export async function signTarget(
  io: Io,
  opened: Opened,
  values: Values,
  tell: (line: string) => void,
): Promise<SignedManifest[]> {
  const signer = await readSigner(values, io);
  if (signer === undefined) {
    throw new ConfigurationError('SIGNING_KEY_MISSING', 'no key is named that could sign', {
      remedy:
        'Give --signing-key and --certificate-chain, or SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN; --submit signs with the app’s.',
    });
  }
  const ports = createLocalPorts(registriesOf(opened), signer);
  const { images } = await classifyGraph(opened.repository, opened.root, io.signal);
  const done: SignedManifest[] = [];
  for (const { mediaType, digest, size, label } of values.recursive === true ? images : images.slice(0, 1)) {
    const input = { source: nameOf(opened), subject: { mediaType, digest, size } };
    const { signature, made } = await doStep(io, (call) => attachSignatureStep(ports, input, call));
    const signed = { digest, label, signature, made };
    tell(signatureLine(signed));
    done.push(signed);
  }
  return done;
}

/**
 * What rules of this machine ask of a target's signatures: those that match its tag, or the one that is named.
 * @throws InputError `RULE_UNKNOWN`, `NO_RULE_MATCHES`, `NO_SIGNATURES_ASKED`
 */
export async function policiesByRules(io: Io, { target }: OpenTarget, values: Values): Promise<SignaturePolicy[]> {
  const all = await rulesHere(values, io).load();
  const chosen = chooseRules(all, values);
  const named = values.rule !== undefined;
  const { registry = '', repository = '', tag = '' } = target.kind === 'registry' ? target.reference : {};
  const { rules, nearest } = named ? { rules: chosen, nearest: '' } : matchRules(chosen, { registry, repository, tag });
  const policies = rules.flatMap((rule) => rule.verify.signatures);
  if (policies.length > 0) return policies;
  throw rules.length === 0
    ? new ConfigurationError('NO_RULE_MATCHES', `no rule matches ${target.text}: ${nearest ?? ''}`, {
        remedy: 'Name the rule with --rule, or what is trusted with --trust-store.',
      })
    : new ConfigurationError(
        'NO_SIGNATURES_ASKED',
        `${rules.map(({ name }) => name).join(', ')} asks for no signatures`,
        {
          remedy: 'Name another rule, or what is trusted with --trust-store.',
        },
      );
}

/** Whether each policy is met by a signature on the target. Nothing is written. */
export async function verifyTarget(
  io: Io,
  { repository, root }: Opened,
  policies: readonly SignaturePolicy[],
): Promise<GateDecision> {
  const ports = { now: () => new Date(), signer: undefined, documents: createLocalDocuments() };
  const asked = { signal: io.signal, ours: 'count' as const };
  for (;;) {
    const look = await lookAtGate(ports, repository, root, policies, asked);
    // Each look gets further, and what is listed is bounded.
    if (!look.isUnfinished) return look.decision;
  }
}

/** @throws VerificationError `EVIDENCE_MISSING` where the gate stays closed */
export function throwUnlessPassed(decision: GateDecision, reference: string): void {
  if (decision.passed) return;
  throw new VerificationError('EVIDENCE_MISSING', `${reference}: ${decision.reasons.slice(0, 20).join('; ')}`, {
    remedy: 'Attach a signature by one of the identities that are trusted, or trust who has signed it.',
  });
}
