import type { z } from 'zod';

/**
 * The message of a problem for which the schema has no text of its own. For `safeParse(value, { error: plainMessage })`.
 *
 * @see https://zod.dev/error-customization
 */
export function plainMessage(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'missing' : `must be ${withArticle(issue.expected)}`;
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'unrecognized_keys':
      return `unknown field ${issue.keys.join(', ')}`;
    case 'too_small':
      return `${verbOf(issue.origin)} at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `${verbOf(issue.origin)} at most ${issue.maximum}${unitOf(issue.origin)}`;
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_element':
    case 'invalid_union':
    case 'not_multiple_of':
    case 'custom':
      return 'not valid';
  }
}

function withArticle(type: string): string {
  const name = type === 'record' ? 'object' : type;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}

const UNITS: Record<string, string> = { string: ' characters', array: ' entries', set: ' entries' };
const unitOf = (origin: string): string => UNITS[origin] ?? '';
const verbOf = (origin: string): string => (unitOf(origin) === '' ? 'must be' : 'must have');
