import { onTerminal } from './status-line.js';

/** What came of one rule on one tag, here or in the app. */
export interface PromotionOutcome {
  rule: string;
  /** `registry/repository:tag`, as the destination. */
  source: string;
  destination: string;
  outcome: string;
  digest?: string;
  /** Where nothing was changed: what would, or why not, if not because nothing differs. */
  reason?: string;
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
