import { parseReference, type Reference } from '../oci/index.js';
import type { Rule } from './rule.js';

interface SourceName {
  repository: string;
  tag: string;
}

/**
 * Returns a rule's destination for one source tag.
 * @throws InputError `REFERENCE_INVALID` if the result is not a reference with a tag
 */
export function destinationOf(rule: Rule, source: SourceName): Required<Omit<Reference, 'digest'>> {
  const text = rule.destination.reference.replaceAll('{repository}', source.repository).replaceAll('{tag}', source.tag);
  const { registry, repository, tag } = parseReference(text);
  return { registry, repository, tag: tag ?? source.tag };
}

/** The repositories that the template can produce, for any source tag. */
function repositoryPattern(rule: Rule): { registry: string; pattern: RegExp } {
  const template = rule.destination.reference;
  const slash = template.indexOf('/');
  const path = template.slice(slash + 1);
  const colon = path.lastIndexOf(':');
  const repository = colon < 0 ? path : path.slice(0, colon);
  const pattern = repository
    .replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
    .replaceAll('{repository}', '.+')
    .replaceAll('{tag}', '[^/]+');
  return { registry: template.slice(0, slash), pattern: new RegExp(`^${pattern}$`) };
}

/**
 * True if the rule can write to this repository. Such a repository is never part of the rule's own source, or `**` to
 * `staging/{repository}` would feed itself.
 */
export function writesTo(rule: Rule, registry: string, repository: string): boolean {
  const template = repositoryPattern(rule);
  return template.registry === registry && template.pattern.test(repository);
}
