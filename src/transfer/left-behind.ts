import type { LeftOut } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import { findPlan, planNameOf } from './kept-plan.js';

/** Referrers that a promotion left at the source and that its receipt names; of more it has the number. */
export const MOST_LEFT_BEHIND = 50;
/** Characters of what a manifest is called in a run; more are cut off. */
export const LABEL_CHARACTERS = 100;

/** Why a referrer stays at the source. What a rule excludes is no news to whoever wrote the rule. */
const WHY: Record<Exclude<LeftOut['reason'], 'excluded'>, { code: string; remedy?: string }> = {
  image: {
    code: 'REFERRER_IS_IMAGE',
    remedy:
      'If only the source needs it (a converted image, say), do nothing. To have it at the destination, give it a tag that a rule matches: then it is inventoried and signed.',
  },
  unreadable: {
    code: 'REFERRER_UNREADABLE',
    remedy: 'Find out who attached it, and delete it, or attach it again with a current client.',
  },
  'not-its-subject': {
    code: 'REFERRER_MISLISTED',
    remedy:
      'Nothing: a list of referrers or a digest tag names it for an image that it does not refer to. Correct the list, or move the tag.',
  },
  gone: { code: 'REFERRER_UNKNOWN' },
};

/** What a promotion left at the source: how many, and the first MOST_LEFT_BEHIND of them. */
export interface LeftBehind {
  count: number;
  referrers: { digest: string; artifactType?: string; code: string }[];
}

/** Images first, then by digest, so that the same referrers give the same receipt. */
export function leftBehindOf(leftOut: readonly LeftOut[]): LeftBehind {
  const order = Object.keys(WHY);
  const named = leftOut
    .flatMap(({ digest, artifactType, reason }) => (reason === 'excluded' ? [] : [{ digest, artifactType, reason }]))
    .toSorted((a, b) => order.indexOf(a.reason) - order.indexOf(b.reason) || (a.digest < b.digest ? -1 : 1));
  const referrers = named.slice(0, MOST_LEFT_BEHIND).map(({ digest, artifactType, reason }) => ({
    digest,
    ...(artifactType !== undefined && { artifactType: artifactType.slice(0, LABEL_CHARACTERS) }),
    code: WHY[reason].code,
  }));
  return { count: named.length, referrers };
}

/** For whoever watches the step: empty, or `; left out …` with the first three. */
export function formatLeftBehind({ count, referrers }: LeftBehind): string {
  if (count === 0) return '';
  const names = referrers.slice(0, 3).map(({ digest, code }) => `${digest} (${code})`);
  return `; left out ${names.join(', ')}${count > names.length ? ` and ${count - names.length} more` : ''}`;
}

/** Of the run's plan. Undefined if the run planned nothing, or left nothing. */
export async function readLeftBehind(ports: Pick<Ports, 'documents'>, runId: string): Promise<LeftBehind | undefined> {
  const plan = await findPlan(ports, planNameOf(runId));
  const left = plan && leftBehindOf(plan.leftOut);
  return left?.count === 0 ? undefined : left;
}
