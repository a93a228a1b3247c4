import { promotionId, fingerprint, type Rule } from '../../../src/rules/rule.js';
import { isSourceRepository, matchRules, currentRule } from '../../../src/rules/match.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { ExistingTags } from '../../../src/schedule/existing-tags.js';
import type { App } from './app.js';
import { destinationProblems, madeTwice } from './destination.js';
import type { Known } from './happenings.js';
import { restProblems } from './rest.js';
import { REGISTRY, REPOSITORIES } from './setting.js';
import { isLeftAlone } from './watches.js';

/** What is at rest, to be held against the rules. */
interface Quiet {
  app: App;
  known: Known;
  /** Somebody has asked again for what the schedule leaves alone. */
  asked: boolean;
}

/** What is not as the rules say, once nothing goes on any more: model.ts says what that is. */
export async function problemsOf(quiet: Quiet): Promise<string[]> {
  const { app, known } = quiet;
  const problems: string[] = [...app.watches.problems];
  for (const rule of app.rules) {
    for (const name of app.world.registries.names(rule.source.registry)) {
      if (!isSourceRepository(rule, rule.source.registry, name)) continue;
      const repository = app.world.registries.repository(rule.source.registry, name);
      for (const [tag, digest] of repository.tags) {
        const source = { registry: rule.source.registry, repository: name, tag };
        if (matchRules([rule], source).rules.length === 0) continue;
        problems.push(...(await tagProblems(quiet, rule, source, repository, digest)));
      }
    }
  }
  return [...problems, ...madeTwice(app), ...(await restProblems(app, known))];
}

/** Rows whose tag is there and whose rule takes it: those that the schedule leaves, for somebody to ask again. */
export async function leftAlone(app: App): Promise<PromotionRow[]> {
  const { items } = await app.world.store.listPromotions({ size: 100 });
  return items.filter((row) => isLeftAlone(row) && row.last?.outcome !== 'observed' && isWanted(app, row));
}

/** True where a rule takes the tag, and the tag is there. */
export function isWanted(
  { rules, world }: App,
  { rule, source: { registry, repository, tag } }: PromotionRow,
): boolean {
  const standing = currentRule(rules, rule, { registry, repository, tag });
  return standing !== undefined && world.registries.repository(registry, repository).tags.has(tag);
}

async function tagProblems(
  { app, known, asked }: Quiet,
  rule: Rule,
  source: { registry: string; repository: string; tag: string },
  from: MemoryRepository,
  digest: string,
): Promise<string[]> {
  const at = `rule ${rule.name}, ${source.repository}:${source.tag}`;
  const row = (await app.world.store.getPromotion(promotionId(rule.name, source)))?.value;
  if (rule.existing === 'ignore' && (row === undefined || !known.touched.has(`${source.repository}:${source.tag}`))) {
    const stood = (await existingDigest(app, rule, source)) === digest;
    if (row === undefined && stood) return [];
    // Nobody touched it since it was there, and a rule that ignores that did from the start.
    const fromStart = app.setting.before === true && !known.ruled && !known.troubled;
    if (fromStart && source.registry === REGISTRY && REPOSITORIES.some((name) => name === source.repository))
      return row === undefined ? [] : [`${at}: promoted though it was there before the rule`];
  }
  if (!asked && row !== undefined && isLeftAlone(row) && row.last?.outcome !== 'observed')
    return leftProblems(app, rule, row, digest);
  if (rule.mode === 'observe') return observedProblems(rule, row, digest, at);
  // Of two rules that lead to one tag, one owns it.
  const [other] = app.rules.filter(
    ({ name, destination }) => name !== rule.name && destination.reference === rule.destination.reference,
  );
  const otherRow = other && (await app.world.store.getPromotion(promotionId(other.name, source)))?.value;
  if (!asked && otherRow !== undefined && isLeftAlone(otherRow)) return [];
  return destinationProblems(app, rule, source, from, digest);
}

/** What the schedule leaves alone was stopped, and nothing was wanted since. */
async function leftProblems(
  { world, watches }: App,
  rule: Rule,
  { id, last, generation }: PromotionRow,
  digest: string,
): Promise<string[]> {
  if (last?.outcome !== 'cancelled')
    return [`promotion ${id} is left as ${last?.outcome} ${last?.code}: ${last?.reason}`];
  const run = (await world.store.getRun(last.runId))?.value;
  if (run === undefined && !watches.removedRuns.has(last.runId))
    return [`promotion ${id}: there is no run ${last.runId}`];
  if (run !== undefined && (run.cancel?.generation ?? 0) < generation)
    return [
      `promotion ${id}: ${generation} is wanted, and run ${run.id} was stopped when ${run.cancel?.generation} was`,
    ];
  if (last.fingerprint !== fingerprint(rule))
    return [`promotion ${id} is left as cancelled though its rule was changed`];
  if (last.digest !== undefined && last.digest !== digest)
    return [`promotion ${id} is left as cancelled though its tag is ${digest}, not ${last.digest}`];
  return [];
}

function observedProblems(rule: Rule, row: PromotionRow | undefined, digest: string, at: string): string[] {
  const { last } = row ?? {};
  const isSeen = last?.outcome === 'observed' || last?.outcome === 'unchanged' || last?.outcome === 'promoted';
  if (isSeen && last.digest === digest && last.fingerprint === fingerprint(rule)) return [];
  return [`${at}: ${digest} is to be observed, and the last run is ${last?.outcome} of ${last?.digest}`];
}

/** What a tag was when its repository was first scanned for the rule, if it was recorded. */
async function existingDigest(
  { world }: App,
  rule: Rule,
  { registry, repository, tag }: { registry: string; repository: string; tag: string },
): Promise<string | undefined> {
  const { items } = await world.store.listScanRows();
  const { existing } =
    items.find(
      ({ value }) => value.rule === rule.name && value.registry === registry && value.repository === repository,
    )?.value.state ?? {};
  return existing && (await new ExistingTags(world, rule, repository, existing).digestsOf([tag])).get(tag);
}
