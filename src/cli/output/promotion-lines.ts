import { onTerminal } from './status-line.js';
import type { ShownPromotion } from '../app/answers.js';
import type { Io } from '../io.js';
import { type ResultFormat, formatResult } from './result.js';

/** The outcome of one rule for one tag, from this process or the app. */
export interface PromotionOutcome {
  rule: string;
  /** `registry/repository:tag`. */
  source: string;
  destination: string;
  outcome: string;
  digest?: string;
  /** If something differs but nothing was changed: what would change, or why not. */
  reason?: string;
}

/** The outcome of a promotion that the app shows. @param outcome by default that of its last run */
export function outcomeOf(row: ShownPromotion, outcome = row.last?.outcome ?? row.state): PromotionOutcome {
  const { rule, destination, last } = row;
  return {
    rule,
    source: sourceOf(row),
    destination,
    outcome,
    ...(last?.digest !== undefined && { digest: last.digest }),
    ...(last?.reason !== undefined && { reason: last.reason }),
  };
}

export function sourceOf({ source: { registry, repository, tag = '' } }: Pick<ShownPromotion, 'source'>): string {
  return `${registry}/${repository}:${tag}`;
}

export function printOutcomes(io: Io, format: ResultFormat, promotions: readonly PromotionOutcome[]): void {
  if (format.kind !== 'text') io.out(formatResult(format, { promotions }));
  else for (const line of promotions.flatMap(promotionLines)) io.out(`${line}\n`);
}

/** `Promoted [rule] source => destination`, and the digest on a line of its own. */
export function promotionLines({ rule, source, destination, outcome, digest, reason }: PromotionOutcome): string[] {
  const title = `${outcome.charAt(0).toUpperCase()}${outcome.slice(1)}`;
  const why = reason === undefined ? '' : `: ${onTerminal(reason)}`;
  return [
    `${title} [${onTerminal(rule)}] ${source} => ${destination}${why}`,
    ...(digest === undefined ? [] : [`Digest: ${digest}`]),
  ];
}
