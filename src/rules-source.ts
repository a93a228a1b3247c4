import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { looksSecret } from './messages/secrets.js';
import { ConfigurationError, InputError } from './oci/index.js';
import { sizeProblem } from './rules/rule.js';
import { parseRules, type RulesDocument } from './rules/rules-file.js';
import type { RulesSource, TickLimit } from './ports/rules-source.js';

/** How long a rules blob is cached, in milliseconds. */
const CACHE_MS = 60_000;

/** Reads the text of a rules blob. */
export type ReadBlob = (url: string) => Promise<string>;

interface RulesOptions {
  /** The setting PROMOTION_RULES: inline JSON, the URL of a blob, or a path. */
  setting: string | undefined;
  /** What errors call it. Default: PROMOTION_RULES. */
  name?: string;
  /** The package's folder; paths are relative to it. */
  root: string;
  readBlob: ReadBlob;
  now(): number;
}

/** What `GET status` reports about the rules. */
export interface LoadedRules {
  /** The number of rules, and since when they are unchanged (ISO 8601). @throws as `load` does */
  loaded(): Promise<{ count: number; since: string }>;
}

/** Loads the rules from where the setting says. Trust stores that are paths are read into their rules. */
export function rulesSource(options: RulesOptions): RulesSource & TickLimit & LoadedRules {
  let cached: { until: number; document: Promise<RulesDocument> } | undefined;
  let last: { text: string; since: string } | undefined;
  // A file is read every second. A text that has not changed is not parsed again.
  let parsed: { text: string; document: RulesDocument } | undefined;
  const parse = (text: string, name: string): RulesDocument => {
    if (parsed?.text !== text) parsed = { text, document: parseRules(text, name) };
    return parsed.document;
  };
  const nowText = (): string => new Date(options.now()).toISOString();
  const read = async (): Promise<RulesDocument> => {
    const document = await readRules(options, parse);
    const text = JSON.stringify(document);
    if (last?.text !== text) last = { text, since: nowText() };
    return document;
  };
  const load = (): Promise<RulesDocument> => {
    if (cached === undefined || options.now() >= cached.until) {
      cached = { until: options.now() + (isRulesBlob(options.setting) ? CACHE_MS : 1_000), document: read() };
      cached.document.catch(() => (cached = undefined));
    }
    return cached.document;
  };
  return {
    load: async () => (await load()).rules,
    maxRunsPerTick: async () => (await load()).maxRunsPerTick,
    loaded: async () => ({ count: (await load()).rules.length, since: last?.since ?? nowText() }),
  };
}

/** True if the setting is the URL of a blob. */
export function isRulesBlob(setting: string | undefined): boolean {
  return setting !== undefined && /^https?:\/\//.test(setting);
}

async function readRules(
  { setting, name = 'PROMOTION_RULES', root, readBlob }: RulesOptions,
  parse: typeof parseRules,
): Promise<RulesDocument> {
  if (setting === undefined) return parse('{"rules":[]}', name);
  if (setting.trimStart().startsWith('{')) return withTrustStores(parse(setting, name), root);
  if (isRulesBlob(setting)) return withTrustStores(parse(await readBlob(setting), 'the rules blob'), root);
  const path = isAbsolute(setting) ? setting : resolve(root, setting);
  return withTrustStores(parse(await readText(path, 'RULES_UNREADABLE', name), path), dirname(path));
}

/** Reads a file. @throws ConfigurationError with the given code */
export async function readText(path: string, code: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    // The path may be a secret by mistake: somebody may have set the content of the file instead of its path.
    const shown = looksSecret(path) || path.includes('\n') ? 'what it names' : path;
    throw new ConfigurationError(code, `${setting}: ${shown} cannot be read`, {
      cause,
      remedy: `Set ${setting} to a file that exists and can be read.`,
    });
  }
}

/**
 * Reads trust stores that are paths into the rules.
 * @throws InputError `RULES_INVALID`; ConfigurationError `RULES_UNREADABLE`
 */
async function withTrustStores(document: RulesDocument, folder: string): Promise<RulesDocument> {
  const rules = await Promise.all(
    document.rules.map(async (rule) => {
      // Only a trust store that is a path changes the rule.
      if (rule.verify.signatures.length === 0) return rule;
      const signatures = await Promise.all(
        rule.verify.signatures.map(async (policy) => ({
          ...policy,
          trustStore: await readTrustStore(rule.name, policy.trustStore, folder),
        })),
      );
      const complete = { ...rule, verify: { ...rule.verify, signatures } };
      const problem = sizeProblem(complete);
      if (problem !== undefined)
        throw rulesError(problem, 'Use fewer certificates in its trust store, or split the rule.');
      return complete;
    }),
  );
  return { ...document, rules };
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';

async function readTrustStore(rule: string, trustStore: string, folder: string): Promise<string> {
  if (trustStore.includes(CERTIFICATE)) return trustStore;
  const path = resolve(folder, trustStore);
  const text = await readText(path, 'RULES_UNREADABLE', `trustStore of rule ${rule}`);
  // Everybody who may read a run sees its rule, so a file that is not a certificate must not get into the rule.
  if (text.includes(CERTIFICATE)) return text;
  throw rulesError(
    `trustStore of rule ${rule}: ${path} contains no certificate`,
    'Set trustStore to a file with PEM certificates.',
  );
}

function rulesError(why: string, remedy: string): InputError {
  return new InputError('RULES_INVALID', why, { remedy });
}
