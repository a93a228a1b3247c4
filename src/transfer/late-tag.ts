import { PromoterError, formatReference, type Descriptor, type Registries } from '../oci/index.js';
import { LATE_MS, lateTag, type LateTag } from '../rows/news.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { SourceTag } from '../rows/run-row.js';
import type { StepCall } from '../ports/step.js';
import { resolveTag } from './resolve-tag.js';
import { deletedTag, missingTag } from './source-gone.js';

const TAG_LATE = 'TAG_LATE';

/** A row, as far as it says what its tag is. */
type Known = Pick<PromotionRow, 'news' | 'last'>;

/**
 * What a run's tag reads.
 * @returns `isLate`: it is what the tag was before, and the run has waited for long enough
 * @throws PromoterError `TAG_LATE`, `SOURCE_GONE`
 */
export async function readSourceTag(
  ports: { registries: Registries; now(): Date },
  source: SourceTag,
  known: Known | undefined,
  call: Pick<StepCall, 'signal' | 'trouble'>,
): Promise<{ read: Descriptor; isLate: boolean }> {
  const read = await resolveTag(ports, source, call.signal);
  if (read === undefined) throw known?.news?.tag?.deleted === true ? deletedTag(source) : missingTag(source);
  const late = known && lateTag(known, read.digest, ports.now());
  if (late !== undefined && mayWait(call)) throw tagLate(source, late);
  return { read, isLate: late !== undefined };
}

/** Whether a step that found its tag late, or moved, is to ask again. */
function mayWait({ trouble }: Pick<StepCall, 'trouble'>): boolean {
  return trouble?.code !== TAG_LATE || trouble.forMs < LATE_MS;
}

function tagLate(source: SourceTag, { digest, named, replacedAt }: LateTag): PromoterError {
  const why =
    named === undefined
      ? `which was replaced at ${replacedAt ?? ''}`
      : `and the push at ${named.at} named ${named.digest}`;
  return new PromoterError(TAG_LATE, `${formatReference(source)} still reads ${digest}, ${why}`, {
    transient: true,
    remedy: 'Nothing: a replica of the registry is late. After a quarter of an hour, what it reads counts.',
  });
}
