import type { TagDetails } from '../oci/index.js';
import type { Existing } from '../rows/scan-row.js';
import { keepPart, PART_TAGS, type Part } from './existing-tags.js';
import { isToLeave, type RepositoryScan } from './repository-scan.js';
import { everyTagOf, isTaken } from './source-repositories.js';
import { SCANNED_TAGS } from './scan.js';

/**
 * Records the tags of a repository, continuing where the last tick stopped, until this tick must stop. If the registry
 * gives times, tags written since the recording started are left out.
 * @returns true if the recording is complete
 */
export async function recordExisting(place: RepositoryScan, existing: Existing): Promise<boolean> {
  const { scan, rule, repository } = place;
  let after = place.state.full?.after;
  let known = existing;
  do {
    const part = await keepPart(scan.ports, rule, repository, known, () => listPart(place, known, after));
    // A host that died may have written the part without its row, so the recording may have started earlier.
    const untilMs = part.untilMs ?? known.untilMs;
    known = {
      ...known,
      parts: known.parts + 1,
      isWhole: part.next === null,
      ...(untilMs !== undefined && { untilMs }),
    };
    after = part.next ?? undefined;
    const { full: before, ...state } = place.state;
    const full = before && after !== undefined && { ...before, after };
    place.state = { ...state, existing: known, ...(full && { full }) };
  } while (!known.isWhole && !isToLeave(place));
  return known.isWhole;
}

async function listPart(place: RepositoryScan, { untilMs }: Existing, after: string | undefined): Promise<Part> {
  const { scan, rule, repository, signal } = place;
  const tags: Part['tags'] = {};
  const times = untilMs === undefined ? {} : { untilMs };
  let listed = 0;
  const isNew = ({ updatedAt }: TagDetails): boolean =>
    untilMs !== undefined && updatedAt !== undefined && Date.parse(updatedAt) > untilMs;
  for await (const each of everyTagOf(scan.ports, rule, repository, {
    signal,
    ...(after !== undefined && { last: after }),
  })) {
    if (isTaken(rule, repository, each.name) && !isNew(each)) tags[each.name] = each.digest;
    listed += 1;
    const isEnough = listed >= PART_TAGS || (listed % SCANNED_TAGS === 0 && isToLeave(place));
    if (isEnough) return { tags, next: each.name, ...times };
  }
  return { tags, next: null, ...times };
}
