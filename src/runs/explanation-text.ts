import type { Explanation } from './explain.js';

/** For people: a line for each promotion, and what else there is to say. */
export function explanationText({ reference, promotions, nearest, ignored }: Explanation): string {
  const lines = promotions.flatMap(({ rule, source, destination, standing, text, since, remedy, runId }) => [
    `${source} -> ${destination} (rule ${rule}): ${standing.replace('_', ' ')}${since === undefined ? '' : ` since ${since}`}`,
    `  ${text}`,
    ...(remedy === undefined ? [] : [`  ${remedy}`]),
    ...(runId === undefined ? [] : [`  run ${runId}`]),
  ]);
  if (nearest !== undefined) lines.push(`${reference}: no rule wants it`, `  ${nearest}`);
  for (const { at, times = 1, firstAt = at, reason } of ignored) {
    lines.push(`  an event was ignored at ${at}${times > 1 ? `, one of ${times} since ${firstAt}` : ''}: ${reason}`);
  }
  return `${lines.join('\n')}\n`;
}
