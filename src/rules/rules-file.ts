import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { InputError, isRegistryHost, parseReference } from '../oci/index.js';
import { findCycle } from './cycles.js';
import { ruleSchema, type Rule } from './rule.js';

/** Rules in one document. `RULES_INVALID` */
const MOST_RULES = 200;
/** Bytes of one rule as JSON, trust stores included: a run carries its rule as input. `RULES_INVALID` */
const RULE_BYTES = 30_000;
/** Bytes of the rules document. `RULES_INVALID` */
const DOCUMENT_BYTES = 1_000_000;
/** What a document may allow one tick of the schedule to start, and what it does by default. `RULES_INVALID` */
const MOST_RUNS_PER_TICK = 10_000;
const DEFAULT_RUNS_PER_TICK = 200;

const documentSchema = z.strictObject({
  rules: z.array(ruleSchema).max(MOST_RULES),
  maxRunsPerTick: z.int().min(1).max(MOST_RUNS_PER_TICK).default(DEFAULT_RUNS_PER_TICK),
});

/** What a rules document says. */
export interface RulesDocument {
  rules: Rule[];
  /** New runs that one tick of the schedule starts at most. */
  maxRunsPerTick: number;
}

function problem(path: PropertyKey[], message: string): string {
  return `${path.map(String).join('.') || 'document'}: ${message}`;
}

/** What the schema can't say about one rule. */
function ruleProblems(rule: Rule, index: number): string[] {
  const problems: string[] = [];
  const add = (path: string, message: string): void => void problems.push(problem(['rules', index, path], message));
  if (!isRegistryHost(rule.source.registry)) add('source.registry', `${rule.source.registry} is not a registry host`);
  const sample = rule.destination.reference.replaceAll('{repository}', 'a/b').replaceAll('{tag}', 'v1');
  try {
    const { digest } = parseReference(sample);
    if (digest !== undefined) add('destination.reference', 'a destination is a tag, not a digest');
  } catch (error) {
    add('destination.reference', error instanceof Error ? error.message : String(error));
  }
  if (rule.destination.reference.split('{repository}').length > 2)
    add('destination.reference', '{repository} stands in it twice');
  if (rule.destination.reference.split('/', 1)[0]?.includes('{') === true)
    add('destination.reference', 'the registry must be written out');
  const size = sizeProblem(rule);
  if (size !== undefined) add('', size);
  return problems;
}

/** A run carries its rule as input, trust stores included. Undefined where the rule is small enough. */
export function sizeProblem(rule: Rule): string | undefined {
  const bytes = Buffer.byteLength(JSON.stringify(rule));
  if (bytes <= RULE_BYTES) return undefined;
  return `the rule ${rule.name} has ${bytes} bytes; the most is ${RULE_BYTES}`;
}

/**
 * Reads a rules document, JSON or YAML. Every problem is named at once, with its path and, where the text is broken, its line.
 * @param name where the text came from, for the message
 * @throws InputError `RULES_INVALID`, `RULES_CYCLE`
 */
export function parseRules(text: string, name: string): RulesDocument {
  const fail = (problems: string[]): never => {
    throw new InputError('RULES_INVALID', `${name}: ${problems.join('; ')}`, {
      details: { problems },
      remedy:
        'Correct the rules document (docs/rules.md describes each field); nothing is promoted until it can be read.',
    });
  };
  if (Buffer.byteLength(text) > DOCUMENT_BYTES) return fail(['document: larger than 1 MB']);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    return fail(document.errors.map((error) => `line ${lines.linePos(error.pos[0]).line}: ${error.message}`));
  }
  const parsed = documentSchema.safeParse(document.toJS({ maxAliasCount: 100 }));
  if (!parsed.success) return fail(parsed.error.issues.map((issue) => problem(issue.path, issue.message)));
  const { rules, maxRunsPerTick } = parsed.data;
  const problems = rules.flatMap(ruleProblems);
  const names = rules.map((rule) => rule.name);
  for (const twice of new Set(names.filter((each, index) => names.indexOf(each) !== index))) {
    problems.push(`rules: two rules are called ${twice}`);
  }
  if (problems.length > 0) return fail(problems);
  const cycle = findCycle(rules);
  if (cycle !== undefined) {
    throw new InputError('RULES_CYCLE', `${name}: rules feed each other for ever: ${cycle.join(' -> ')}`, {
      remedy: 'Take the destination of one of them out of the source of the next, with a glob that starts with !.',
    });
  }
  return { rules, maxRunsPerTick };
}
