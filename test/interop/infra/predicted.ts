import { expect } from '@jest/globals';
import type { PredictedResource, Snapshot } from './bicep.js';

const ROLES: Record<string, string> = {
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': 'Storage Blob Data Owner',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe': 'Storage Blob Data Contributor',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88': 'Storage Queue Data Contributor',
  'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a': 'Storage Queue Data Message Sender',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3': 'Storage Table Data Contributor',
  '12338af0-0e69-4776-bea7-57ae8d297424': 'Key Vault Crypto User',
  '4633458b-17de-408a-b874-0445c86b69e6': 'Key Vault Secrets User',
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7': 'Key Vault Secrets Officer',
  '3913510d-42f4-4e42-8a64-420c390055eb': 'Monitoring Metrics Publisher',
  '7f951dda-4ed3-4680-a7ca-43fe172d538d': 'AcrPull',
  '8311e382-0749-4cb8-b61a-304f252e45ec': 'AcrPush',
  'b93aa761-3e63-49ed-ac28-beffa264f7ac': 'Container Registry Repository Reader',
  '2a1e307c-b015-4ebd-883e-5b7698a07328': 'Container Registry Repository Writer',
  'bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7': 'Container Registry Repository Catalog Lister',
};

/** The principals that the tests' parameters name: who they are and their type. */
const DEPLOYERS: Record<string, [name: string, type: string]> = {
  '00000000-0000-0000-0000-00000000000a': ['person', 'User'],
  '00000000-0000-0000-0000-00000000000b': ['pipeline', 'ServicePrincipal'],
};

/** How each registry grants permissions, by name: what Azure would answer when the deployment asks it. */
export type Modes = Record<string, 'abac' | 'classic'>;

/** What the condition of a role assignment comes to, once the registry has been asked. */
function isAssigned(condition: unknown, modes: Modes): boolean {
  if (condition === undefined) return true;
  const text = JSON.stringify(condition);
  const [, negated, registry = ''] =
    /^"\[(?:and\(true\(\), )?(not\()?equals\(coalesce\(tryGet\(reference\('[^']+\/registries\/([^'/]+)', '2025-11-01'\), 'roleAssignmentMode'\), 'LegacyRegistryPermissions'\), 'AbacRepositoryPermissions'\)+\]"$/.exec(
      text,
    ) ?? [];
  const mode = modes[registry];
  if (mode === undefined) throw new Error(`what does ${text} come to?`);
  return (mode === 'abac') !== (negated !== undefined);
}

/** The prefixes that a condition limits its role to. */
function prefixesOf(condition: unknown): string[] {
  return [...(typeof condition === 'string' ? condition : '').matchAll(/StringStartsWithIgnoreCase '([^']+)'/g)].map(
    ([, prefix = '']) => prefix,
  );
}

/** `who: role on what` of every role assignment, sorted; with ` for PREFIXES` if it has a condition. */
export function rolesOf(snapshot: Snapshot, modes: Modes): string[] {
  const lines = [];
  for (const { type, id, condition, properties } of snapshot.predictedResources) {
    if (type !== 'Microsoft.Authorization/roleAssignments' || !isAssigned(condition, modes)) continue;
    const scope =
      /^\[extensionResourceId\('([^']+)'/.exec(id)?.[1] ?? id.split('/providers/Microsoft.Authorization/').at(0) ?? id;
    const principal = String(properties?.['principalId']);
    const [who, principalType] = DEPLOYERS[principal] ?? [
      principal.includes('/userAssignedIdentities/') ? 'app' : 'topic',
      'ServicePrincipal',
    ];
    expect({ who, type: properties?.['principalType'] }).toEqual({ who, type: principalType });
    const [, role = ''] =
      /\/providers\/Microsoft\.Authorization\/roleDefinitions\/([0-9a-f-]{36})$/.exec(
        String(properties?.['roleDefinitionId']),
      ) ?? [];
    const what = scope.replace(/^\/subscriptions\/0{8}-0000-0000-0000-0{11}(\d)\/resourceGroups\//, '$1/');
    const prefixes = prefixesOf(properties?.['condition']);
    const only = prefixes.length === 0 ? '' : ` for ${prefixes.join(', ')}`;
    lines.push(`${who}: ${ROLES[role] ?? role} on ${what.replaceAll(/[a-z0-9]{13}(?=$|\/)/g, 'TOKEN')}${only}`);
  }
  return lines.sort();
}

/** The only resource of a type. */
export function one(snapshot: Snapshot, type: string): PredictedResource {
  const found = snapshot.predictedResources.filter((resource) => resource.type === type);
  expect(found).toHaveLength(1);
  const [resource] = found;
  if (resource === undefined) throw new Error(`no ${type}`);
  return resource;
}

/** Last parts of the names of a type's resources, sorted. */
export function namesOf(snapshot: Snapshot, type: string): string[] {
  return snapshot.predictedResources
    .filter((resource) => resource.type === type)
    .map(({ name }) => name.split('/').at(-1) ?? name)
    .sort();
}
