import { parseReference, type Reference } from '../oci/index.js';
import type { Rule } from './rule.js';

interface SourceName {
  repository: string;
  tag: string;
}

/** A rule's destination for one source tag. @throws InputError `REFERENCE_INVALID` where the result is no reference with a tag. */
export function destinationOf(rule: Rule, source: SourceName): Required<Omit<Reference, 'digest'>> {
  const text = rule.destination.reference.replaceAll('{repository}', source.repository).replaceAll('{tag}', source.tag);
  const { registry, repository, tag } = parseReference(text);
  return { registry, repository, tag: tag ?? source.tag };
}

/** Splits the template: what stands before and after `{repository}` in the repository part. */
function repositoryTemplate(rule: Rule): { registry: string; before: string; after: string | undefined } {
  const template = rule.destination.reference;
  const slash = template.indexOf('/');
  const path = template.slice(slash + 1);
  const colon = path.lastIndexOf(':');
  const repository = colon < 0 ? path : path.slice(0, colon);
  const [before = '', after] = repository.split('{repository}');
  return { registry: template.slice(0, slash), before, after };
}

/**
 * True where the rule itself writes to this repository, for any source repository: such a repository is never part of the
 * rule's own source, or `**` to `staging/{repository}` would feed itself.
 */
export function writesTo(rule: Rule, registry: string, repository: string): boolean {
  const template = repositoryTemplate(rule);
  if (template.registry !== registry) return false;
  if (template.after === undefined) return repository === template.before;
  return (
    repository.length > template.before.length + template.after.length &&
    repository.startsWith(template.before) &&
    repository.endsWith(template.after)
  );
}
