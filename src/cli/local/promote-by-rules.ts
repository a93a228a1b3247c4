import { InputError, PolicyError, PromoterError, formatReference, type RegistryClient } from '../../oci/index.js';
import { destinationOf, matchRules, type TagName } from '../../rules/match.js';
import type { Rule } from '../../rules/rule.js';
import { resolveTag } from '../../transfer/tag.js';
import type { Ports } from '../../ports/ports.js';
import { connectionOf } from '../connection/connection.js';
import type { Io } from '../io.js';
import { promotionLines } from '../output/promotion-lines.js';
import type { Session } from '../connection/session.js';
import { onTerminal } from '../output/status-line.js';
import type { Values } from '../verb.js';
import { dryRun, dryRunLines, type DryRun } from './dry-run.js';
import { promoteTag, type LocalOutcome } from './promote-tag.js';
import { chooseRules, rulesHere } from './rules-file.js';
import { readSigner, requireSigner } from './signer.js';

/**
 * Promotes a tag by every local rule that matches it, or only by the rule that is named. If one rule fails, the others
 * are still applied.
 * @param tell receives a line for each finding and each change
 * @throws PolicyError `NO_RULE_MATCHES`; InputError `SOURCE_NOT_FOUND`
 */
export async function promoteByRules(
  io: Io,
  session: Session,
  source: TagName,
  values: Values,
  tell: (line: string) => void,
): Promise<{ promotions: (LocalOutcome | DryRun)[]; failures: PromoterError[] }> {
  const rules = rulesHere(values, io);
  const match = matchRules(chooseRules(await rules.load(), values), source);
  if (match.rules.length === 0) {
    throw new PolicyError('NO_RULE_MATCHES', `no rule matches ${formatReference(source)}: ${match.nearest ?? ''}`, {
      remedy: `Change a rule to include it, or copy it: acr-promoter copy -r ${formatReference(source)} DESTINATION`,
    });
  }
  const from = await session.client(source.registry, connectionOf(values, 'from'));
  const root = await resolveTag({ registries: from }, source, io.signal);
  if (root === undefined) {
    throw new InputError('SOURCE_NOT_FOUND', `${formatReference(source)} does not exist`, {
      remedy: 'Push it first, or correct the reference.',
    });
  }
  const signer = await readSigner(values, io);
  const promotions: (LocalOutcome | DryRun)[] = [];
  const failures: PromoterError[] = [];
  for (const rule of match.rules) {
    const sides = await connectSides(session, source, rule, values);
    try {
      // Checked here, because a rule with `attachTo: destination` signs after it has copied.
      if (rule.sign.length > 0 && rule.mode !== 'observe') {
        requireSigner(signer, `rule ${rule.name} signs what it promotes, but no signing key is given`);
      }
      const promotion = { rule, source, rules, signer, values, tell, ...sides };
      if (values.dryRun === true) {
        const planned = await dryRun(io, promotion, root);
        promotions.push(planned);
        dryRunLines(planned).forEach(tell);
        continue;
      }
      const outcome = await promoteTag(io, promotion);
      promotions.push(outcome);
      promotionLines(outcome).forEach(tell);
    } catch (error) {
      io.signal.throwIfAborted();
      if (!(error instanceof PromoterError)) throw error;
      if (match.rules.length > 1) io.err(`Error: rule ${rule.name}: ${onTerminal(error.message)} (${error.code})\n`);
      failures.push(error);
    }
  }
  return { promotions, failures };
}

/** Connects both sides of a rule, each with its own options. */
async function connectSides(
  session: Session,
  source: TagName,
  rule: Rule,
  values: Values,
): Promise<Pick<Ports, 'registries' | 'listing'>> {
  const destination = destinationOf(rule, source);
  const from = await session.client(source.registry, connectionOf(values, 'from'));
  const to = await session.client(destination.registry, connectionOf(values, 'to'));
  const isSource = (registry: string, repository: string): boolean =>
    registry === source.registry && repository === source.repository;
  const client = (registry: string, repository: string): RegistryClient => (isSource(registry, repository) ? from : to);
  const listing: Ports['listing'] = {
    registry: (registry) => (registry === destination.registry ? to : from).registry(registry),
    repository: (registry, repository) => client(registry, repository).repository(registry, repository),
  };
  return { registries: listing, listing };
}
