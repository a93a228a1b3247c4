import { createHash } from 'node:crypto';
import type { TagName } from './match.js';

/** The id of a promotion: a hash of rule name and source tag, never of a digest. 32 hex digits. */
export function promotionId(ruleName: string, source: TagName): string {
  const text = JSON.stringify([ruleName, source.registry, source.repository, source.tag]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
