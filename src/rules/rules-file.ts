import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { InputError, isRegistryHost, parseReference } from '../oci/index.js';
import { plainMessage } from '../messages/zod-messages.js';
import { findCycle } from './cycles.js';
import { ruleSchema, sizeProblem, type Rule } from './rule.js';

/** The most rules in one document. `RULES_INVALID` */
const MOST_RULES = 200;
/** The most bytes of the rules document. `RULES_INVALID` */
const DOCUMENT_BYTES = 1_000_000;
/** The maximum and the default of `maxRunsPerTick`. `RULES_INVALID` */
const MOST_RUNS_PER_TICK = 10_000;
const DEFAULT_RUNS_PER_TICK = 200;

const documentSchema = z.strictObject({
  rules: z.array(ruleSchema).max(MOST_RULES),
  maxRunsPerTick: z.int().min(1).max(MOST_RUNS_PER_TICK).default(DEFAULT_RUNS_PER_TICK),
});

/** A parsed rules document. */
export interface RulesDocument {
  rules: Rule[];
  /** The most new runs, over all rules, between two times of `PROMOTION_SCHEDULE`. */
  maxRunsPerTick: number;
}

function problem(path: PropertyKey[], message: string): string {
  return `${path.map(String).join('.') || 'document'}: ${message}`;
}

/** Checks what the schema cannot express about one rule. */
function ruleProblems(rule: Rule, index: number): string[] {
  const problems: string[] = [];
  const add = (path: string, message: string): void => void problems.push(problem(['rules', index, path], message));
  if (!isRegistryHost(rule.source.registry)) add('source.registry', `${rule.source.registry} is not a registry host`);
  const sample = rule.destination.reference.replaceAll('{repository}', 'a/b').replaceAll('{tag}', 'v1');
  const unknown = /\{[^}]*\}?/.exec(sample)?.[0];
  if (unknown !== undefined) {
    add('destination.reference', `unknown placeholder ${unknown}; the placeholders are {repository} and {tag}`);
    return problems;
  }
  try {
    const { digest } = parseReference(sample);
    if (digest !== undefined) add('destination.reference', 'a destination is a tag, not a digest');
  } catch (error) {
    add('destination.reference', error instanceof Error ? error.message : String(error));
  }
  if (rule.destination.reference.split('{repository}').length > 2)
    add('destination.reference', '{repository} occurs twice');
  if (rule.destination.reference.split('/', 1)[0]?.includes('{') === true)
    add('destination.reference', 'the registry cannot contain a placeholder');
  const size = sizeProblem(rule);
  if (size !== undefined) add('', size);
  return problems;
}

/**
 * Parses a rules document, JSON or YAML. The error lists every problem with its path, or its line if the syntax is
 * wrong.
 * @param name where the text came from, for the message
 * @throws InputError `RULES_INVALID`, `RULES_CYCLE`
 */
export function parseRules(text: string, name: string): RulesDocument {
  const fail = (problems: string[]): never => {
    throw new InputError('RULES_INVALID', `${name}: ${problems.join('; ')}`, {
      details: { problems },
      remedy:
        'Correct the rules document (docs/reference/rules.md describes each field). Nothing is promoted until it is valid.',
    });
  };
  if (Buffer.byteLength(text) > DOCUMENT_BYTES) return fail(['document: larger than 1 MB']);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    return fail(document.errors.map((error) => `line ${lines.linePos(error.pos[0]).line}: ${error.message}`));
  }
  const parsed = documentSchema.safeParse(document.toJS({ maxAliasCount: 100 }), { error: plainMessage });
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
      remedy: 'Exclude the destination of one of them from the source of the next, with a glob that starts with `!`.',
    });
  }
  return { rules, maxRunsPerTick };
}
