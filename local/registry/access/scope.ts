import type { Grant } from '../options.js';

/** One entry of a token's `access` claim or of a challenge's scope. */
export interface Access {
  type: string;
  name: string;
  actions: string[];
}

export const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] };

export function repositoryAccess(name: string, ...actions: string[]): Access {
  return { type: 'repository', name, actions };
}

/** Parses `type:name:action,action`; the name may contain colons. @returns undefined for anything else */
export function parseScope(text: string): Access | undefined {
  const match = /^([a-z]+(?:\([a-z]+\))?):(.+):([a-z_*,]+)$/.exec(text);
  if (match === null) return undefined;
  const [, type = '', name = '', actions = ''] = match;
  return { type, name, actions: actions.split(',').filter((action) => action !== '') };
}

export function formatScope({ type, name, actions }: Access): string {
  return `${type}:${name}:${actions.join(',')}`;
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

/** True if the grants allow everything that is wanted. */
export function covers(granted: Access[], wanted: Access): boolean {
  return wanted.actions.every((action) =>
    granted.some(
      (entry) =>
        entry.type === wanted.type &&
        matches(entry.name, wanted.name) &&
        (entry.actions.includes(action) || entry.actions.includes('*')),
    ),
  );
}

/**
 * The part of the request that these grants allow. Without grants: all of it. Only principals without grants get the
 * catalog.
 */
export function grant(requested: Access[], grants: Grant[] | undefined): Access[] {
  if (grants === undefined) return requested;
  return requested.flatMap((entry) => {
    if (entry.type !== 'repository') return [];
    const allowed = grants
      .filter(({ repository }) => matches(repository, entry.name))
      .flatMap(({ actions }) => actions);
    const every = ['pull', 'push', 'delete', 'metadata_read', 'metadata_write'];
    const asked = entry.actions.includes('*') ? every : entry.actions;
    const actions = asked.filter((action) => allowed.includes(action) || allowed.includes('*'));
    return actions.length === 0 ? [] : [{ ...entry, actions }];
  });
}
