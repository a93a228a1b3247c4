import { unknownOf } from './explain.js';
import type { ExplainedPromotion, Explanation } from './explanation.js';

/** An explanation as text: some lines for each promotion, then notes. */
export function explanationText({ reference, promotions, nearest, note, ignored, warnings = [] }: Explanation): string {
  const lines = promotions.flatMap((promotion) => {
    const { rule, source, destination, state, text, since, remedy, promotionId, runId } = promotion;
    return [
      `${source} -> ${destination} (rule ${rule}): ${state ?? 'not started'}${since === undefined ? '' : ` since ${since}`}`,
      `  ${text}`,
      ...unknownLines(promotion),
      ...(remedy === undefined ? [] : [`  ${remedy}`]),
      ...(promotionId === undefined
        ? []
        : [`  promotion ${promotionId}${runId === undefined ? '' : `, run ${runId}`}`]),
    ];
  });
  if (nearest !== undefined) lines.push(`${reference}: no rule matches it`, `  ${nearest}`);
  if (note !== undefined) lines.push(`${reference}: ${note}`);
  for (const { at, times = 1, firstAt = at, reason } of ignored) {
    lines.push(`  an event was ignored at ${at}${times > 1 ? `, one of ${times} since ${firstAt}` : ''}: ${reason}`);
  }
  for (const { code, message, remedy } of warnings) lines.push(`warning: ${message} (${code})`, `  ${remedy}`);
  return `${lines.join('\n')}\n`;
}

function unknownLines({ checks, source, destination, runId }: ExplainedPromotion): string[] {
  if (checks === undefined) return [];
  const names = {
    source: `the source ${source}`,
    destination: `the destination ${destination}`,
    evidence: `the evidence at ${destination}`,
  };
  // If no run has seen a tag, nothing is expected at its destination, and the destination is not checked.
  const failed = unknownOf(checks).filter(({ check }) => runId !== undefined || check.code !== 'NOT_CHECKED');
  return failed.map(({ part, check: { since, code, reason } }) => {
    const from = since === '' ? '' : ` since ${since}`;
    return `  could not check ${names[part]}${from}: ${code}: ${reason}`;
  });
}
