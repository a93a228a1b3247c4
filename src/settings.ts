import { Cron } from 'croner';
import { z } from 'zod';
import { isVaultId } from './azure/vault-id.js';
import { readLoginServers } from './messages/registry-event.js';
import { JOB_OPERATIONS } from './operations/job-schema.js';
import { looksSecret } from './messages/secrets.js';
import { isRegistryHost, quoted } from './oci/index.js';
import { parseSbomLimits, SBOM_LIMIT_NAMES, type SbomLimits } from './sbom/index.js';
import { CALL_REQUESTS } from './transfer/long-step.js';
import { LARGE_BLOB_BYTES } from './transfer/copy.js';

/** Every five minutes. */
export const DEFAULT_SCHEDULE = '0 */5 * * * *';

/** A comma-separated list. */
function listOf(byDefault: string): z.ZodType<string[], string | undefined> {
  return z
    .string()
    .default(byDefault)
    .transform((text) =>
      text
        .split(',')
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ''),
    );
}
const optional = z
  .string()
  .optional()
  .transform((text) => (text === undefined || text.trim() === '' ? undefined : text));
const flag = optional.pipe(z.stringbool().default(false));

function isJobOperation(name: string): boolean {
  return JOB_OPERATIONS.some((known) => known === name);
}

function notAnOperation(name: string): string {
  return `${JSON.stringify(name)} is not a job operation`;
}

/** Repository names have no colon, so a glob with one (a host's port, a scheme, a tag) would never match. */
function namesMoreThanRepository(glob: string): boolean {
  return glob.includes(':');
}

function notOfRepositories(glob: string): string {
  return `${quoted(glob)} names a host or a tag; write repositories only, for example samples/** (for all of ALLOWED_REGISTRIES)`;
}

const globs = z.array(z.string().min(1)).min(1);
const scope = z.union([
  globs,
  z
    .strictObject({ from: globs.exactOptional(), to: globs.exactOptional() })
    .refine(({ from, to }) => from !== undefined || to !== undefined),
]);

function globsOf(named: z.output<typeof scope>): string[] {
  return Array.isArray(named) ? named : [...(named.from ?? []), ...(named.to ?? [])];
}

/**
 * JSON with repository globs by operation: `{"copy": {"from": ["samples/**"], "to": ["mirror/**"]}, "tag":
 * ["mirror/**"]}`.
 */
const scopes = optional.transform((text, context) => {
  if (text === undefined) return {};
  try {
    const named = z.record(z.string(), scope).parse(JSON.parse(text));
    for (const [operation, each] of Object.entries(named)) {
      // A scope with a misspelt operation would limit nothing.
      if (!isJobOperation(operation)) context.addIssue({ code: 'custom', message: notAnOperation(operation) });
      else if (operation !== 'copy' && !Array.isArray(each)) {
        context.addIssue({
          code: 'custom',
          message: `only copy takes from and to; write {"${operation}": ["samples/**"]}`,
        });
      }
    }
    for (const glob of Object.values(named).flatMap(globsOf).filter(namesMoreThanRepository)) {
      context.addIssue({ code: 'custom', message: notOfRepositories(glob) });
    }
    return named;
  } catch {
    context.addIssue({
      code: 'custom',
      message: 'is not JSON of the form {"copy": {"from": ["samples/**"], "to": ["mirror/**"]}, "tag": ["mirror/**"]}',
    });
    return z.NEVER;
  }
});

/** NCRONTAB as in Azure timers. The library would accept more (`L`, `#`, `?`). */
const SCHEDULE_FIELD = /^(?:[\d*,/-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)+$/i;

const schedule = optional.transform((text, context) => {
  const pattern = text ?? DEFAULT_SCHEDULE;
  try {
    new Cron(pattern, { paused: true, mode: '6-part' }).stop();
    if (
      !pattern
        .trim()
        .split(/\s+/)
        .every((field) => SCHEDULE_FIELD.test(field))
    )
      throw new Error('another field');
    return pattern;
  } catch {
    context.addIssue({
      code: 'custom',
      message: `${JSON.stringify(pattern)} is not a schedule with six fields (second minute hour day month weekday)`,
    });
    return z.NEVER;
  }
});

const registries = listOf('')
  .superRefine((hosts, context) => {
    for (const host of hosts) {
      if (!isRegistryHost(host))
        context.addIssue({ code: 'custom', message: `${quoted(host)} is not a registry host` });
    }
  })
  // Events have registry hosts in lower case.
  .transform((hosts) => hosts.map((host) => host.toLowerCase()));

/** `HOST=RESOURCE_ID` of each registry that sends events. */
const registryIds = listOf('').transform((entries, context) =>
  readLoginServers(entries, (message) => context.addIssue({ code: 'custom', message })),
);

/**
 * Read-only operations, and those that rules control (promote, copy). Operations that write, attach, sign or delete
 * must be allowed explicitly.
 */
export const DEFAULT_JOB_OPERATIONS = 'discover,resolve,tags,repos,manifest.fetch,verify,promote,copy';

const jobOperations = listOf(DEFAULT_JOB_OPERATIONS).superRefine((operations, context) => {
  for (const operation of operations) {
    if (!isJobOperation(operation)) context.addIssue({ code: 'custom', message: notAnOperation(operation) });
  }
});

/**
 * JSON with credentials by name: `{"hub": {"registry": "docker.io", "username": "…", "secret":
 * "https://….vault.azure.net/secrets/…"}}`.
 */
const jobCredentials = optional.transform((text, context) => {
  if (text === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The value may be a secret that was put here by mistake, so the message does not quote it.
    context.addIssue({ code: 'custom', message: 'is not JSON' });
    return z.NEVER;
  }
  const parsed = z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
      z.strictObject({
        registry: z.string().refine(isRegistryHost, 'is not a registry host'),
        username: z.string().min(1).max(500),
        secret: z
          .string()
          .refine((url) => isVaultId('secrets', url), 'is not https://VAULT.vault.azure.net/secrets/NAME'),
      }),
    )
    .safeParse(value);
  if (parsed.success) return parsed.data;
  for (const { path, message } of parsed.error.issues.slice(0, 10)) {
    context.addIssue({ code: 'custom', message: `${path.map(String).join('.')}: ${message}` });
  }
  return z.NEVER;
});

/** A whole number within limits. */
function wholeNumber(byDefault: number, least: number, most?: number): z.ZodType<number, string | undefined> {
  const message = `is not a whole number ${most === undefined ? `of at least ${least}` : `from ${least} to ${most}`}`;
  return optional
    .transform((text) => (text === undefined ? byDefault : Number(text)))
    .pipe(
      z
        .int(message)
        .min(least, message)
        .max(most ?? Number.MAX_SAFE_INTEGER, message),
    );
}

/** Enough for the largest manifest and one piece of an upload. */
const LEAST_PART_BYTES = 32 * 1024 * 1024;
/** The smallest value with which a call still makes progress. */
const LEAST_WALK_REQUESTS = 100;
/** How long finished runs are kept. */
const DEFAULT_RETENTION_DAYS = 30;
/** Requests per minute that the schedule sends to one registry, for scans and for resync. */
const DEFAULT_SCAN_REQUESTS = 250;
const DEFAULT_RESYNC_REQUESTS = 25;

/** JSON of limits by name: `{"entries": 8000000}`. */
const sbomLimits = optional.transform((text, context): Partial<SbomLimits> => {
  const limits = parseSbomLimits(text ?? '{}');
  if (limits !== undefined) return limits;
  context.addIssue({ code: 'custom', message: `is not JSON of limits by name, which are ${SBOM_LIMIT_NAMES}` });
  return z.NEVER;
});

const signingKey = optional.superRefine((key, context) => {
  if (key === undefined || !isUrl(key) || isVaultId('keys', key)) return;
  context.addIssue({
    code: 'custom',
    message: 'is neither a path nor https://VAULT.vault.azure.net/keys/NAME[/VERSION]',
  });
});

function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}

const fields = z.object({
  PROMOTION_RULES: optional,
  PROMOTION_SCHEDULE: schedule,
  PROMOTION_PAUSED: flag,
  ALLOWED_REGISTRIES: registries,
  AZURE_REGISTRIES: registries,
  REGISTRY_IDS: registryIds,
  RUN_RETENTION_DAYS: wholeNumber(DEFAULT_RETENTION_DAYS, 1, 3_650),
  SIGNING_KEY: signingKey,
  SIGNING_CERTIFICATE_CHAIN: listOf(''),
  JOB_OPERATIONS: jobOperations,
  JOB_SCOPES: scopes,
  JOB_CREDENTIALS: jobCredentials,
  COPY_PART_BYTES: wholeNumber(LARGE_BLOB_BYTES, LEAST_PART_BYTES),
  WALK_REQUESTS: wholeNumber(CALL_REQUESTS, LEAST_WALK_REQUESTS),
  SCAN_REQUESTS: wholeNumber(DEFAULT_SCAN_REQUESTS, 1, 100_000),
  RESYNC_REQUESTS: wholeNumber(DEFAULT_RESYNC_REQUESTS, 1, 100_000),
  SBOM_LIMITS: sbomLimits,
  AZURE_CLIENT_ID: optional,
  AzureWebJobsStorage: optional,
  AzureWebJobsStorage__accountName: optional,
  AzureWebJobsStorage__blobServiceUri: optional,
  AzureWebJobsStorage__queueServiceUri: optional,
  AzureWebJobsStorage__tableServiceUri: optional,
  AzureWebJobsStorage__clientId: optional,
});

/** The parsed environment. docs/reference/settings.md gives unit and default of each setting. */
export type Settings = z.infer<typeof fields>;

/** A problem with one setting; never its value. */
export interface SettingProblem {
  setting: string;
  message: string;
}

/** The names of this app's settings that are set and not empty. */
export function namesSet(environment: Record<string, string | undefined>): string[] {
  return Object.keys(fields.shape).filter((name) => (environment[name] ?? '').trim() !== '');
}

/** A host without a port looks like a repository name. If it is one of the allowed registries, a host was meant. */
function scopeProblems({ JOB_SCOPES: named, ALLOWED_REGISTRIES: hosts }: Settings): SettingProblem[] {
  return Object.values(named)
    .flatMap(globsOf)
    .filter((glob) => {
      const [first = ''] = glob.replace(/^!/, '').toLowerCase().split('/', 1);
      return !namesMoreThanRepository(glob) && hosts.includes(first);
    })
    .map((glob) => ({ setting: 'JOB_SCOPES', message: notOfRepositories(glob) }));
}

/** A PEM key and its certificates are read from files at start-up. */
function chainProblems({ SIGNING_KEY: key, SIGNING_CERTIFICATE_CHAIN: chain }: Settings): SettingProblem[] {
  if (key === undefined || isUrl(key) || !chain.some(isUrl)) return [];
  const message = 'must be a path because SIGNING_KEY is a path; use a URL only with a key in Key Vault';
  return [{ setting: 'SIGNING_CERTIFICATE_CHAIN', message }];
}

/**
 * Parses all settings and reports every problem at once. In the result, a setting with a problem has its default, so
 * that the others can still be checked. If there are problems, do not use the result for anything else.
 */
export function readSettings(environment: Record<string, string | undefined>): {
  settings: Settings;
  problems: SettingProblem[];
} {
  const problems: SettingProblem[] = [];
  const good: Record<string, string | undefined> = {};
  for (const [setting, field] of Object.entries(fields.shape)) {
    const text = environment[setting];
    const { success, error } = field.safeParse(text);
    if (success) good[setting] = text;
    else problems.push(...error.issues.map(({ message }) => ({ setting, message: safe(message, text) })));
  }
  const settings = fields.parse(good);
  return { settings, problems: [...problems, ...scopeProblems(settings), ...chainProblems(settings)] };
}

/** Hides a message that quotes the value if the value looks like a secret that was put here by mistake. */
function safe(message: string, text: string | undefined): string {
  return text !== undefined && message.includes('"') && looksSecret(text)
    ? 'is invalid and seems to contain a secret'
    : message;
}
