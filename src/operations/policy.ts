import type { AcceptedJob } from '../rows/run-row.js';
import { SCOPES, storedJobSchema, type JobInput } from './job-schema.js';
import type { Use } from './operation-schema.js';
import { PolicyError, formatReference, isSameRegistry, parseReference } from '../oci/index.js';
import { writesTo, matchesGlobs, isSourceRepository } from '../rules/match.js';
import type { JobScope } from '../ports/job-policy.js';
import type { Ports } from '../ports/ports.js';

/** A place that a job looks at or changes. */
interface Touched {
  registry: string;
  /** None: the registry's own list. */
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

/** Whether a job may be done once more if nobody knows how far it came: it only reads, copies or promotes. One that cannot be read may not. */
export function isSafeToRepeat(accepted: AcceptedJob): boolean {
  const { data: job } = storedJobSchema.safeParse(accepted);
  return job !== undefined && (job.operation === 'copy' || touchedBy(job).every(({ use }) => use === 'read'));
}

/** What a job does, by the names that the settings have: a copy within one repository sets a tag. */
function operationsOf(job: JobInput): JobInput['operation'][] {
  if (job.operation !== 'copy') return [job.operation];
  const [source, destination] = [parseReference(job.source), parseReference(job.destination)];
  const isWithin =
    source.repository === destination.repository && isSameRegistry(source.registry, destination.registry);
  return isWithin ? ['copy', 'tag'] : ['copy'];
}

/**
 * Holds a job against what jobs may do here: a queue is a door, and whoever can write to it doesn't thereby own the registry or
 * the signing key.
 * @throws PolicyError `JOB_OPERATION_FORBIDDEN`, `CREDENTIAL_UNKNOWN`, `CREDENTIAL_NOT_FOR_THIS`, `REGISTRY_NOT_ALLOWED`,
 * `JOB_SCOPE_FORBIDDEN`, `COPY_BYPASSES_RULE`, `JOB_FEEDS_RULE`
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
  throw new PolicyError('JOB_OPERATION_FORBIDDEN', `jobs may not ${operation} here${why}`, {
    remedy: `Name the operation in JOB_OPERATIONS; it has ${operations.join(', ') || 'none'}.`,
  });
}

/** A credential is there, and for a registry that the job touches: named in vain, it was meant for another. */
function credentialFits(ports: Pick<Ports, 'jobPolicy'>, job: JobInput, places: readonly Touched[]): void {
  const { credential } = job;
  if (credential === undefined) return;
  const { credentials } = ports.jobPolicy;
  const entry = Object.hasOwn(credentials, credential) ? credentials[credential] : undefined;
  if (entry === undefined) {
    throw new PolicyError('CREDENTIAL_UNKNOWN', `there is no credential ${credential} in the settings`, {
      remedy: 'Name one of JOB_CREDENTIALS, or leave "credential" out: the app signs in as its identity.',
    });
  }
  if (job.operation === 'promote') {
    throw new PolicyError(
      'CREDENTIAL_NOT_FOR_THIS',
      'a promotion is signed in as the app itself, whoever asks for it',
      {
        remedy: 'Leave "credential" out.',
      },
    );
  }
  if (places.some(({ registry }) => isSameRegistry(registry, entry.registry))) return;
  throw new PolicyError('CREDENTIAL_NOT_FOR_THIS', `the credential ${credential} is for ${entry.registry} only`, {
    remedy: 'Name a credential of a registry that the job touches, or leave "credential" out.',
  });
}

function inScope(
  ports: Pick<Ports, 'jobPolicy'>,
  operation: JobInput['operation'],
  { registry, repository, use }: Touched,
): void {
  if (!ports.jobPolicy.allowedRegistries.includes(registry)) {
    throw new PolicyError('REGISTRY_NOT_ALLOWED', `${registry} is not one of the registries that the app may talk to`, {
      remedy: 'Name it in ALLOWED_REGISTRIES.',
    });
  }
  const side = use === 'read' ? 'from' : 'to';
  if (repository !== undefined && !isInScope(ports, operation, repository, side)) {
    throw new PolicyError('JOB_SCOPE_FORBIDDEN', `jobs may not ${operation} ${side} ${repository} here`, {
      remedy: 'Add the repository to the operation in JOB_SCOPES; of a copy, to the side.',
    });
  }
}

function isList(scope: JobScope): scope is readonly string[] {
  return Array.isArray(scope);
}

/** An operation that JOB_SCOPES doesn't name may touch every repository of the allowed registries. */
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

/** JOB_SCOPES says of this repository that the operation may write to it: of a copy, whose list is of what it reads too, by `to`. */
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

/** What a rule writes is the rule's: a job puts nothing there past its gates, and takes nothing away that it has put there. */
async function keepsOutOfRules(
  ports: Pick<Ports, 'rules'>,
  job: JobInput,
  { registry, repository = '', use }: Touched,
): Promise<void> {
  const writer = (await ports.rules.load()).find((rule) => {
    // The rule may call the registry otherwise.
    const [host = ''] = rule.destination.reference.split('/', 1);
    return isSameRegistry(host, registry) && writesTo(rule, host, repository);
  });
  if (writer === undefined) return;
  const place = formatReference({ registry, repository });
  const harm = use === 'delete' ? 'take away what it has put there' : 'pass its gates by';
  throw new PolicyError(
    'COPY_BYPASSES_RULE',
    `${place} is written by rule ${writer.name}: ${job.operation} would ${harm}`,
    {
      remedy:
        'Send a job with "operation": "promote" instead, or write to a repository that no rule writes; what is attached at the source travels along. What a rule has written is deleted by hand, not by a job.',
    },
  );
}

/**
 * What a rule reads, the app signs and promotes: who may put something there decides what that is. Somebody must have said that
 * jobs may.
 */
async function feedsNoRule(
  ports: Pick<Ports, 'rules' | 'jobPolicy'>,
  operation: JobInput['operation'],
  { registry, repository = '' }: Touched,
): Promise<void> {
  if (isNamedForWriting(ports, operation, repository)) return;
  const reader = (await ports.rules.load()).find(
    (rule) =>
      // The rule may call the registry otherwise.
      isSameRegistry(rule.source.registry, registry) && isSourceRepository(rule, rule.source.registry, repository),
  );
  if (reader === undefined) return;
  const place = formatReference({ registry, repository });
  const scope = operation === 'copy' ? { to: [repository] } : [repository];
  throw new PolicyError(
    'JOB_FEEDS_RULE',
    `${place} is read by rule ${reader.name}: what a job puts there by ${operation} would be signed and promoted`,
    {
      remedy: `Write to a repository that no rule reads, or let jobs decide what this rule promotes: name the repository in JOB_SCOPES, as ${JSON.stringify({ [operation]: scope })}.`,
    },
  );
}
