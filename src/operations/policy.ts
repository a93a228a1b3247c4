import type { AcceptedJob } from '../rows/run-row.js';
import { SCOPES, storedJobSchema, type JobInput } from './job-schema.js';
import type { Use } from './operation-schema.js';
import { PolicyError, formatReference, isSameRegistry, parseReference } from '../oci/index.js';
import { writesTo, matchesGlobs, isSourceRepository } from '../rules/match.js';
import type { JobScope } from '../ports/job-policy.js';
import type { Ports } from '../ports/ports.js';

/** A repository that a job reads or changes. */
interface Touched {
  registry: string;
  /** Undefined for the registry's list of repositories. */
  repository?: string;
  use: Use;
}

function touchedBy(job: JobInput): Touched[] {
  const fields: Readonly<Record<string, unknown>> = job;
  return Object.entries(SCOPES.get(job.operation) ?? {}).map(([field, use = 'write']) => {
    const text = String(fields[field]);
    if (field === 'registry') return { registry: text, use };
    const { registry, repository } = parseReference(text);
    return { registry, repository, use };
  });
}

/**
 * True if an orphaned job may be started again, because it only reads, copies or promotes. False for a job that cannot
 * be parsed.
 */
export function isSafeToRepeat(accepted: AcceptedJob): boolean {
  const { data: job } = storedJobSchema.safeParse(accepted);
  return job !== undefined && (job.operation === 'copy' || touchedBy(job).every(({ use }) => use === 'read'));
}

/** The operations that the settings must allow for a job. A copy within one repository is also a tag. */
function operationsOf(job: JobInput): JobInput['operation'][] {
  if (job.operation !== 'copy') return [job.operation];
  const [source, destination] = [parseReference(job.source), parseReference(job.destination)];
  const isWithin =
    source.repository === destination.repository && isSameRegistry(source.registry, destination.registry);
  return isWithin ? ['copy', 'tag'] : ['copy'];
}

/**
 * Checks whether the app allows a job: write access to the queue does not imply access to the registry or the signing
 * key.
 * @throws PolicyError `JOB_OPERATION_FORBIDDEN`, `CREDENTIAL_UNKNOWN`, `CREDENTIAL_NOT_FOR_THIS`,
 * `REGISTRY_NOT_ALLOWED`, `JOB_SCOPE_FORBIDDEN`, `COPY_BYPASSES_RULE`, `JOB_FEEDS_RULE`
 */
export async function enforceJobPolicy(ports: Pick<Ports, 'jobPolicy' | 'rules'>, job: JobInput): Promise<void> {
  const operations = operationsOf(job);
  for (const operation of operations) isAllowed(ports, job, operation);
  const places = touchedBy(job);
  credentialFits(ports, job, places);
  for (const touched of places) {
    for (const operation of operations) inScope(ports, operation, touched);
    if (touched.use !== 'read') await keepsOutOfRules(ports, job, touched);
    if (touched.use === 'write') {
      for (const operation of operations) await feedsNoRule(ports, operation, touched);
    }
  }
}

function isAllowed(ports: Pick<Ports, 'jobPolicy'>, job: JobInput, operation: JobInput['operation']): void {
  const { operations } = ports.jobPolicy;
  if (operations.includes(operation)) return;
  const why = operation === job.operation ? '' : `: a ${job.operation} within one repository is a ${operation}`;
  throw new PolicyError('JOB_OPERATION_FORBIDDEN', `this app does not allow ${operation} jobs${why}`, {
    remedy: `Add it to JOB_OPERATIONS, which has ${operations.join(', ') || 'none'}.`,
  });
}

/** The credential must exist and be for a registry that the job uses; otherwise it was meant for another job. */
function credentialFits(ports: Pick<Ports, 'jobPolicy'>, job: JobInput, places: readonly Touched[]): void {
  const { credential } = job;
  if (credential === undefined) return;
  const { credentials } = ports.jobPolicy;
  const entry = Object.hasOwn(credentials, credential) ? credentials[credential] : undefined;
  if (entry === undefined) {
    throw new PolicyError('CREDENTIAL_UNKNOWN', `JOB_CREDENTIALS has no credential ${credential}`, {
      remedy: 'Name one of JOB_CREDENTIALS, or leave "credential" out to use the app’s identity.',
    });
  }
  if (job.operation === 'promote') {
    throw new PolicyError('CREDENTIAL_NOT_FOR_THIS', 'a promotion always uses the app’s identity', {
      remedy: 'Leave "credential" out.',
    });
  }
  if (places.some(({ registry }) => isSameRegistry(registry, entry.registry))) return;
  throw new PolicyError('CREDENTIAL_NOT_FOR_THIS', `the credential ${credential} is for ${entry.registry} only`, {
    remedy: 'Name a credential of a registry that the job uses, or leave "credential" out.',
  });
}

function inScope(
  ports: Pick<Ports, 'jobPolicy'>,
  operation: JobInput['operation'],
  { registry, repository, use }: Touched,
): void {
  if (!ports.jobPolicy.allowedRegistries.includes(registry)) {
    throw new PolicyError('REGISTRY_NOT_ALLOWED', `this app may not access the registry ${registry}`, {
      remedy: 'Add it to ALLOWED_REGISTRIES.',
    });
  }
  const side = use === 'read' ? 'from' : 'to';
  if (repository !== undefined && !isInScope(ports, operation, repository, side)) {
    throw new PolicyError('JOB_SCOPE_FORBIDDEN', `this app does not allow ${operation} jobs ${side} ${repository}`, {
      remedy: 'Add the repository to the operation in JOB_SCOPES; for a copy, to "from" or "to".',
    });
  }
}

function isList(scope: JobScope): scope is readonly string[] {
  return Array.isArray(scope);
}

/** An operation that JOB_SCOPES does not name may use every repository of the allowed registries. */
export function isInScope(
  ports: Pick<Ports, 'jobPolicy'>,
  operation: JobInput['operation'],
  repository: string,
  side: 'from' | 'to' = 'from',
): boolean {
  const scope = ports.jobPolicy.scopes[operation];
  const globs = scope === undefined || isList(scope) ? scope : scope[side];
  return globs === undefined || matchesGlobs(globs, repository);
}

/**
 * True if JOB_SCOPES names this repository for writing. For a copy only `to` counts, because a plain list covers
 * reading, too.
 */
function isNamedForWriting(
  ports: Pick<Ports, 'jobPolicy'>,
  operation: JobInput['operation'],
  repository: string,
): boolean {
  const scope = ports.jobPolicy.scopes[operation];
  if (scope === undefined) return false;
  const globs = isList(scope) ? (operation === 'copy' ? undefined : scope) : scope.to;
  return globs !== undefined && matchesGlobs(globs, repository);
}

/** A job may not write or delete at a rule's destination: it would bypass the rule's gate, or remove promoted images. */
async function keepsOutOfRules(
  ports: Pick<Ports, 'rules'>,
  job: JobInput,
  { registry, repository = '', use }: Touched,
): Promise<void> {
  const writer = (await ports.rules.load()).find((rule) => {
    // The rule may write the registry's name differently.
    const [host = ''] = rule.destination.reference.split('/', 1);
    return isSameRegistry(host, registry) && writesTo(rule, host, repository);
  });
  if (writer === undefined) return;
  const place = formatReference({ registry, repository });
  const harm = use === 'delete' ? 'delete promoted content' : 'bypass its gate';
  throw new PolicyError(
    'COPY_BYPASSES_RULE',
    `${place} is written by rule ${writer.name}: ${job.operation} would ${harm}`,
    {
      remedy:
        'Send a job with "operation": "promote" instead, or write to a repository that no rule writes; referrers that are attached at the source are copied along. Delete promoted images by hand, not by a job.',
    },
  );
}

/**
 * The app signs and promotes whatever is in a rule's source, so jobs may write there only if JOB_SCOPES says so.
 */
async function feedsNoRule(
  ports: Pick<Ports, 'rules' | 'jobPolicy'>,
  operation: JobInput['operation'],
  { registry, repository = '' }: Touched,
): Promise<void> {
  if (isNamedForWriting(ports, operation, repository)) return;
  const reader = (await ports.rules.load()).find(
    (rule) =>
      // The rule may write the registry's name differently.
      isSameRegistry(rule.source.registry, registry) && isSourceRepository(rule, rule.source.registry, repository),
  );
  if (reader === undefined) return;
  const place = formatReference({ registry, repository });
  const scope = operation === 'copy' ? { to: [repository] } : [repository];
  throw new PolicyError(
    'JOB_FEEDS_RULE',
    `${place} is read by rule ${reader.name}: content that ${operation} writes there would be signed and promoted`,
    {
      remedy: `Write to a repository that no rule reads, or allow it by naming the repository in JOB_SCOPES: ${JSON.stringify({ [operation]: scope })}.`,
    },
  );
}
