import { CopyError, type Digest, type LeftOut } from '../oci/index.js';
import { lookFor, type Looked, type News } from '../rows/news.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';
import type { LongStep } from './long-step.js';

/** How long a run waits for referrers that are listed and not there, or were reported and are not listed, in milliseconds: a replica may be late. */
const LATE_REFERRERS_MS = 2 * 60_000;

/** What a walk of a graph found at the source. */
export interface Walked {
  /** The repository. */
  name: string;
  digests: ReadonlySet<Digest>;
  leftOut: readonly LeftOut[];
}

/** Which referrers a walk found, of those that triggers have named. */
export function lookIn({ digests, leftOut }: Walked, news: News | undefined): Looked {
  const there = new Set<string>(leftOut.flatMap(({ digest, reason }) => (reason === 'gone' ? [] : [digest])));
  return lookFor(news, { copied: digests, leftOut: there });
}

/**
 * Waits for referrers that are listed and not there, and for those that triggers have named and that are not found. After two minutes the run
 * goes on without them: they are looked for again later.
 * @throws CopyError `REFERRER_UNKNOWN`
 */
export function awaitReferrers(
  ports: Pick<Ports, 'now'>,
  step: Pick<LongStep, 'since'>,
  walked: Walked,
  news: News | undefined,
  { waitedMs }: Pick<StepCall, 'waitedMs'>,
): Looked {
  const gone = walked.leftOut.filter(({ reason }) => reason === 'gone').map(({ digest }) => digest);
  const looked = lookIn(walked, news);
  const unknown = [...new Set<string>([...gone, ...looked.unseen])];
  // On the command line nobody waits.
  if (unknown.length === 0 || waitedMs === undefined) return looked;
  const forMs = ports.now().getTime() - step.since('referrers are unknown');
  // One of two hosts' clocks may be wrong.
  if (Math.abs(forMs) < LATE_REFERRERS_MS) throw referrersUnknown(walked.name, unknown, gone.length);
  return looked;
}

/** Some are listed and not there: a replica is late, or the list is out of date. Others were reported, and are not listed yet. */
function referrersUnknown(source: string, unknown: readonly string[], listed: number): CopyError {
  const names = unknown.slice(0, 5).join(', ');
  const reported = unknown.length - listed;
  const what = [
    ...(listed > 0 ? [`lists ${listed} referrers that it does not know`] : []),
    ...(reported > 0 ? [`does not list ${reported} referrers whose push was reported`] : []),
  ];
  return new CopyError('REFERRER_UNKNOWN', `${source} ${what.join(', and ')}: ${names}`, {
    transient: true,
    details: { unknown: unknown.slice(0, 100) },
    remedy: 'Nothing: after two minutes the run goes on without them, and they are looked for again for a day.',
  });
}
