import { isRepository } from '../oci/index.js';
import { scanFingerprint, type Rule } from '../rules/rule.js';
import { isSourceRepository } from '../rules/match.js';
import type { ScanRow, ScanState } from '../rows/scan-row.js';
import type { Versioned } from '../ports/versioned.js';
import { firstRepositories, forgetExisting, forgetRule, globsHash } from './existing-tags.js';
import { isolated, type Scan } from './scan.js';
import { within } from './time-limit.js';

/** Time limit for listing the repositories of a registry, in milliseconds. */
const REPOSITORIES_MS = 15_000;

/** A scan row with its rule. */
export interface RuledRow extends Versioned<ScanRow> {
  rule: Rule;
}

/** The rules with the trigger `schedule`, sorted by name. */
export function scheduledRules(rules: readonly Rule[]): Rule[] {
  return rules
    .filter((rule) => rule.triggers.includes('schedule'))
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** The scan rows of all repositories of these rules. One request per thousand rows. */
export async function listRows(scan: Scan, rules: readonly Rule[]): Promise<RuledRow[]> {
  return (await allRows(scan)).flatMap((row) => {
    const rule = rules.find(({ name }) => name === row.value.rule);
    return rule === undefined || rule.source.registry !== row.value.registry ? [] : [{ ...row, rule }];
  });
}

async function allRows({ ports: { store } }: Scan): Promise<Versioned<ScanRow>[]> {
  const rows: Versioned<ScanRow>[] = [];
  let from: string | undefined;
  do {
    const page = await store.listScanRows(from);
    rows.push(...page.items);
    from = page.next;
  } while (from !== undefined);
  return rows;
}

/**
 * Adds rows for new repositories, and removes the rows of deleted rules and repositories. If a rule's repositories
 * cannot be listed, its rows stay unchanged.
 */
export async function updateRows(scan: Scan, rules: readonly Rule[]): Promise<void> {
  const rows = await allRows(scan);
  const ofRules = new Set(rules.map(keyOf));
  const gone = rows.filter(({ value }) => !ofRules.has(keyOf({ name: value.rule, source: value })));
  for (const row of gone) await remove(scan, row);
  for (const name of new Set(gone.map(({ value }) => value.rule)))
    if (!rules.some((rule) => rule.name === name)) await forgetRule(scan.ports, name);
  const catalogs = new Map<string, Promise<readonly string[]>>();
  const update = (rule: Rule): Promise<boolean> =>
    isolated(
      scan,
      `rule ${rule.name}`,
      () => updateRule(scan, rule, rows, catalogs),
      () => true,
    );
  await Promise.all(rules.map(update));
}

function keyOf({ name, source: { registry } }: { name: string; source: { registry: string } }): string {
  return JSON.stringify([name, registry]);
}

async function updateRule(
  scan: Scan,
  rule: Rule,
  rows: readonly Versioned<ScanRow>[],
  catalogs: Map<string, Promise<readonly string[]>>,
): Promise<void> {
  const repositories = await repositoriesOf(rule, (registry) => {
    const catalog = catalogs.get(registry) ?? readCatalog(scan, registry);
    catalogs.set(registry, catalog);
    return catalog;
  });
  const ours = rows.filter(({ value }) => keyOf({ name: value.rule, source: value }) === keyOf(rule));
  const wanted = new Set(repositories);
  for (const row of ours) {
    if (!wanted.delete(row.value.repository)) await takeOut(scan, rule, row);
    else if (row.value.state.isGone === true) await write(scan, row, { ...row.value.state, isGone: undefined });
  }
  await insert(scan, rule, repositories, wanted);
}

async function insert(
  { ports }: Scan,
  rule: Rule,
  all: readonly string[],
  missing: ReadonlySet<string>,
): Promise<void> {
  // Recorded even if no repository is missing, so that a repository created later is known to be new.
  const first = rule.existing === 'ignore' ? await firstRepositories(ports, rule, all) : undefined;
  for (const repository of missing) {
    const existing = first && { globs: globsHash(rule), parts: 0, isWhole: !first.has(repository) };
    await ports.store.insertScanRow({
      rule: rule.name,
      registry: rule.source.registry,
      repository,
      state: { failures: 0, existing },
    });
  }
}

/**
 * Gives a deleted repository one last full scan, from the start, so that its promotions are checked. Removes a
 * repository that the rule no longer matches at once.
 */
async function takeOut(scan: Scan, rule: Rule, row: Versioned<ScanRow>): Promise<void> {
  const { registry, repository, state } = row.value;
  const isLast = state.isGone === true && state.fingerprint === scanFingerprint(rule);
  if (isLast || !isSourceRepository(rule, registry, repository)) await remove(scan, row);
  else if (state.isGone !== true) {
    // A recording of existing tags continues.
    const full = state.existing?.isWhole === false ? state.full : undefined;
    await write(scan, row, { ...state, fingerprint: undefined, full, isGone: true });
  }
}

async function write({ ports }: Scan, { value, version }: Versioned<ScanRow>, state: ScanState): Promise<void> {
  // If another host wrote the row first, its version stays.
  await ports.store.replaceScanRow({ ...value, state }, version);
}

async function remove({ ports }: Scan, { value, version }: Versioned<ScanRow>): Promise<void> {
  const { rule: name, registry, repository, state } = value;
  if (state.existing !== undefined)
    await forgetExisting(ports, { name, source: { registry } }, repository, state.existing);
  await ports.store.removeScanRow(value, version);
}

async function readCatalog({ ports, signal: scanSignal }: Scan, registry: string): Promise<readonly string[]> {
  return within(scanSignal, REPOSITORIES_MS, `the catalog of ${registry}`, async (signal) => {
    const names: string[] = [];
    for await (const name of ports.listing.registry(registry).listRepositories({ signal })) names.push(name);
    return names;
  });
}

const WILDCARD = /[*?[\]{}()!]/;

/**
 * The rule's source repositories, sorted: the names in the rule, or the matches in the registry's catalog if the rule
 * has wildcards.
 */
async function repositoriesOf(
  rule: Rule,
  catalog: (registry: string) => Promise<readonly string[]>,
): Promise<string[]> {
  const { registry, repositories } = rule.source;
  const isListed =
    repositories.some((glob) => !glob.startsWith('!') && WILDCARD.test(glob)) ||
    repositories[0]?.startsWith('!') === true;
  // A pattern that is no valid repository name matches nothing.
  const found = new Set(isListed ? await catalog(registry) : repositories.filter(isRepository));
  return [...found].filter((repository) => isSourceRepository(rule, registry, repository)).sort();
}
