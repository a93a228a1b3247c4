import { ConfigurationError } from '../../oci/index.js';
import type { Opened, OperationResult } from '../../operations/operation.js';
import type { InputOf } from '../../operations/operation-schema.js';
import { run as sign } from '../../operations/sign.js';
import type { sign as signSchema } from '../../operations/sign.schema.js';
import { run as verify, type VerifyInput } from '../../operations/verify.js';
import { matchRules } from '../../rules/match.js';
import type { SignaturePolicy } from '../../rules/rule.js';
import type { Target } from '../connection/target.js';
import type { Io } from '../io.js';
import type { Values } from '../verb.js';
import { createLocalPorts, doStep, registriesOf, replyOf } from './local-run.js';
import { openedImage } from './opened-image.js';
import { chooseRules, rulesHere } from './rules-file.js';
import { readSigner, requireSigner } from './signer.js';

/**
 * Signs the target with a local key.
 * @throws ConfigurationError `SIGNING_KEY_MISSING`
 */
export async function signTarget(
  io: Io,
  opened: Opened & { target: Target },
  input: InputOf<typeof signSchema>,
  values: Values,
): Promise<OperationResult> {
  const signer = requireSigner(await readSigner(values, io), 'no signing key is given');
  const ports = createLocalPorts(registriesOf(opened), signer);
  return doStep(io, (call) => replyOf(sign(openedImage(opened), input, ports, call)));
}

/**
 * The signatures that local rules require of a target: the rules that match its tag, or the rule that is named.
 * @throws InputError `RULE_UNKNOWN`, `NO_RULE_MATCHES`, `NO_SIGNATURES_ASKED`
 */
export async function policiesByRules(io: Io, target: Target, values: Values): Promise<SignaturePolicy[]> {
  const all = await rulesHere(values, io).load();
  const chosen = chooseRules(all, values);
  const named = values.rule !== undefined;
  const { registry = '', repository = '', tag = '' } = target.kind === 'registry' ? target.reference : {};
  const { rules, nearest } = named ? { rules: chosen, nearest: '' } : matchRules(chosen, { registry, repository, tag });
  const policies = rules.flatMap((rule) => rule.verify.signatures);
  if (policies.length > 0) return policies;
  throw rules.length === 0
    ? new ConfigurationError('NO_RULE_MATCHES', `no rule matches ${target.text}: ${nearest ?? ''}`, {
        remedy: 'Name the rule with --rule, or give trusted certificates with --trust-store.',
      })
    : new ConfigurationError(
        'NO_SIGNATURES_ASKED',
        `${rules.map(({ name }) => name).join(', ')} requires no signatures`,
        {
          remedy: 'Name another rule, or give trusted certificates with --trust-store.',
        },
      );
}

/** Checks each policy against the signatures of the target. Nothing is written. */
export function verifyTarget(
  io: Io,
  opened: Opened & { target: Target },
  input: VerifyInput,
): Promise<OperationResult> {
  const ports = createLocalPorts(registriesOf(opened), undefined);
  return doStep(io, (call) => replyOf(verify(openedImage(opened), input, ports, call)));
}
