import { unknownOf } from './explain.js';
import type { ExplainedPromotion, Explanation } from './explanation.js';

/** For people: a line for each promotion, and what else there is to say. */
export function explanationText({ reference, promotions, nearest, ignored, warnings = [] }: Explanation): string {
  const lines = promotions.flatMap((promotion) => {
    const { rule, source, destination, standing, text, since, remedy, runId } = promotion;
    return [
      `${source} -> ${destination} (rule ${rule}): ${standing.replace('_', ' ')}${since === undefined ? '' : ` since ${since}`}`,
      `  ${text}`,
      ...unknownLines(promotion),
      ...(remedy === undefined ? [] : [`  ${remedy}`]),
      ...(runId === undefined ? [] : [`  run ${runId}`]),
    ];
  });
  if (nearest !== undefined) lines.push(`${reference}: no rule matches it`, `  ${nearest}`);
  for (const { at, times = 1, firstAt = at, reason } of ignored) {
    lines.push(`  an event was ignored at ${at}${times > 1 ? `, one of ${times} since ${firstAt}` : ''}: ${reason}`);
  }
  for (const { code, message, remedy } of warnings) lines.push(`warning: ${message} (${code})`, `  ${remedy}`);
  return `${lines.join('\n')}\n`;
}

function unknownLines({ checks, source, destination }: ExplainedPromotion): string[] {
  if (checks === undefined) return [];
  const names = {
    source: `the source ${source}`,
    destination: `the destination ${destination}`,
    evidence: `the evidence at ${destination}`,
  };
  return unknownOf(checks).map(({ part, check: { since, code, reason } }) => {
    const from = since === '' ? '' : ` since ${since}`;
    return `  could not check ${names[part]}${from}: ${code}: ${reason}`;
  });
}
