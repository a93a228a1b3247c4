import { InputError, formatReference, parseReference } from '../oci/index.js';
import { explain, type Explanation } from '../runs/explain.js';
import type { PromotionRow, StepProgress } from '../runs/rows.js';
import { matchRules, type TagName } from '../promotion/match.js';
import { resolveTag } from '../steps/resolve-tag.js';
import type { StaticPorts } from './activities.js';

type ExplainPorts = Pick<StaticPorts, 'store' | 'rules' | 'registries' | 'paused'>;

/** Ignored events that an answer tells. */
const MOST_IGNORED = 5;
/** Promotions of one tag that are read; and how long the registries have to say what stands there, in milliseconds. */
const MOST_ROWS = 50;
const LOOK_MS = 5_000;

/**
 * Whether a tag is where it belongs, and if not, why not. A destination may be asked about as well.
 * @throws InputError `REFERENCE_INVALID`
 */
export async function explainTag(ports: ExplainPorts, text: string): Promise<Explanation> {
  const name = nameOf(text);
  const reference = formatReference(name);
  const rules = await ports.rules.load();
  const [{ items: own }, { items: leading }, { items: ignored }] = await Promise.all([
    ports.store.listPromotions({ size: MOST_ROWS, filter: name }),
    ports.store.listPromotions({ size: MOST_ROWS, filter: { destination: reference } }),
    ports.store.listIgnored({ size: MOST_IGNORED, filter: { name: reference } }),
  ]);
  const rows = [...own, ...leading.filter(({ id }) => !own.some((row) => row.id === id))];
  const steps = new Map<string, StepProgress[]>();
  for (const { runId, runOpen } of rows) {
    if (runOpen && runId !== undefined) steps.set(runId, await ports.store.listProgress(runId));
  }
  const wanted = matchRules(rules, name).rules.length > 0;
  const seen = await look(ports, [...(wanted || rows.length > 0 ? [name] : []), ...rows.flatMap(placesOf)]);
  return explain({ name, rules, paused: ports.paused, rows, steps, ignored, seen });
}

function nameOf(text: string): TagName {
  const { registry, repository, tag } = parseReference(text);
  if (tag !== undefined) return { registry, repository, tag };
  throw new InputError('REFERENCE_INVALID', `${text} has no tag: a promotion is of a tag`, {
    remedy: 'Name the tag; the runs of a digest are at GET /api/runs?digest=.',
  });
}

function placesOf({ source, destination }: PromotionRow): TagName[] {
  const { registry, repository, tag } = parseReference(destination);
  return [source, ...(tag === undefined ? [] : [{ registry, repository, tag }])];
}

/** What stands at these places now; a registry that gives no answer in time is left out. */
async function look(
  ports: Pick<ExplainPorts, 'registries'>,
  places: readonly TagName[],
): Promise<Map<string, string | null>> {
  const signal = AbortSignal.timeout(LOOK_MS);
  const seen = new Map<string, string | null>();
  const byReference = new Map(places.map((place) => [formatReference(place), place]));
  await Promise.all(
    [...byReference].map(async ([reference, place]) => {
      try {
        seen.set(reference, (await resolveTag(ports, place, signal))?.digest ?? null);
      } catch {
        // Not allowed, down, or too slow: the answer does without.
      }
    }),
  );
  return seen;
}
