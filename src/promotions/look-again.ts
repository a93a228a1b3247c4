import { formatRegistryEvent } from '../messages/registry-event.js';
import { isDigest } from '../oci/index.js';
import { nextLookMs } from '../rows/news.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { Ports } from '../ports/ports.js';

/**
 * Puts the events of referrers that a run did not find back into the queue, with a pause: each is handled like the first, and starts the run
 * that looks again. Done twice, it sends them twice, and the second is known by then.
 */
export async function lookAgain(
  ports: Pick<Ports, 'queues' | 'now'>,
  { id, source, news }: PromotionRow,
  unseen: readonly string[],
): Promise<void> {
  const now = ports.now();
  for (const { digest, at, tag, looks } of news?.referrers ?? []) {
    if (!unseen.includes(digest) || !isDigest(digest)) continue;
    const pauseMs = nextLookMs({ at, ...(looks !== undefined && { looks }) }, now);
    if (pauseMs === undefined) continue;
    const { registry, repository } = source;
    const named = { registry, repository, digest, ...(tag !== undefined && { tag }), time: at };
    const event = formatRegistryEvent({ id: `again-${id}-${digest}`, kind: 'pushed', ...named });
    await ports.queues.send('registry-events', JSON.stringify(event), { delaySeconds: Math.ceil(pauseMs / 1000) });
  }
}
