import { onTerminal } from './status-line.js';

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

/** `Promoted [rule] source => destination`, and the digest on a line of its own. */
export function promotionLines({ rule, source, destination, outcome, digest, reason }: PromotionOutcome): string[] {
  const title = `${outcome.charAt(0).toUpperCase()}${outcome.slice(1)}`;
  const why = reason === undefined ? '' : `: ${onTerminal(reason)}`;
  return [
    `${title} [${onTerminal(rule)}] ${source} => ${destination}${why}`,
    ...(digest === undefined ? [] : [`Digest: ${digest}`]),
  ];
}
