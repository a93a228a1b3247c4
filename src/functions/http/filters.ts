import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { formatReference, InputError, isRegistryHost, parseReference } from '../../oci/index.js';
import { parseDuration } from '../../rules/rule.js';
import { isGlob } from '../../rules/match.js';
import type { IgnoredFilter, NameGlobs, PromotionFilter, RunFilter } from '../../rows/lists.js';
import { OUTCOMES } from '../../rows/run-row.js';
import { PROMOTION_STATES } from '../../rows/promotion-row.js';
import { JOB_OPERATIONS } from '../../operations/job-schema.js';

/** Query parameters that are not filters: the page, and the function key of Azure. */
const BESIDE = new Set(['size', 'from', 'code', 'clientId']);

/** Characters of the value of a filter. */
const MOST_VALUE_CHARS = 500;

/** A problem of a value, with the forms that the filter takes. */
const invalid = (message: string, remedy: string): { code: 'custom'; message: string; params: { remedy: string } } => ({
  code: 'custom',
  message,
  params: { remedy },
});

/**
 * A name, a glob as in a rule (`samples/**`, `v1.*`), or, for a repository or destination, the beginning of its name up
 * to a slash.
 */
const name = z
  .string()
  .superRefine((written, context) => {
    if (written.length <= MOST_VALUE_CHARS) return;
    context.addIssue(invalid('the value is too long', `Give at most ${MOST_VALUE_CHARS} characters.`));
  })
  .exactOptional();
/** An RFC 3339 time, or how long ago: `90s`, `10m`, `24h`, `7d`. */
const since = z
  .string()
  .transform((written, context) => {
    const ms = parseDuration(written);
    const time = ms === undefined ? Date.parse(written) : Date.now() - ms;
    if (!Number.isNaN(time)) return new Date(time).toISOString();
    context.addIssue(
      invalid(
        `${written.slice(0, 40)} is neither a time nor a duration of at least 1s`,
        'Give how long ago, such as 90s, 30m, 24h or 7d, or a time, such as 2026-11-30T10:00Z.',
      ),
    );
    return z.NEVER;
  })
  .exactOptional();
/** A digest, or at least its first six characters, with `sha256:` or without. */
const digest = z
  .string()
  .transform((written, context) => {
    if (/^(?:sha(?:256|512):)?[0-9a-f]{6,128}$/.test(written)) {
      return written.includes(':') ? written : `sha256:${written}`;
    }
    context.addIssue(
      invalid(
        `${written.slice(0, 140)} is not a digest`,
        'Give a digest, or at least its first six hexadecimal characters, in lower case.',
      ),
    );
    return z.NEVER;
  })
  .exactOptional();
const names = { rule: name, registry: name, repository: name, tag: name };
const promotionQuery = z.object({
  ...names,
  state: z.enum(PROMOTION_STATES).exactOptional(),
  destination: name,
  since,
});
const runQuery = z.object({
  ...names,
  state: z.enum(['open', 'pending', 'running', 'ended', ...OUTCOMES]).exactOptional(),
  digest,
  kind: z.enum(['promotion', 'job']).exactOptional(),
  operation: z.enum(JOB_OPERATIONS).exactOptional(),
  since,
});
const ignoredQuery = z.object({ state: z.literal('ignored'), reference: name, since });

/** @throws InputError `FILTER_INVALID` */
export function promotionFilterOf(request: Pick<HttpRequest, 'query'>): PromotionFilter {
  return withGlobs(withRegistry(queryOf(promotionQuery, request)));
}

/** @throws InputError `FILTER_INVALID` */
export function runFilterOf(request: Pick<HttpRequest, 'query'>): RunFilter {
  return withGlobs(withRegistry(queryOf(runQuery, request, { state: ['ignored'] })));
}

/**
 * The filter for ignored events.
 * @throws InputError `FILTER_INVALID`
 */
export function ignoredFilterOf(request: Pick<HttpRequest, 'query'>): IgnoredFilter {
  const { reference, since: from } = queryOf(ignoredQuery, request);
  return { ...(reference !== undefined && { name: nameOf(reference) }), ...(from !== undefined && { since: from }) };
}

function nameOf(reference: string): string {
  const { registry, repository, tag } = parseReference(reference);
  return formatReference({ registry, repository, ...(tag !== undefined && { tag }) });
}

/**
 * Refuses an unknown filter. If it were ignored, the list would be longer than its reader expects.
 * @param more values that another schema takes; a remedy lists them too
 */
function queryOf<S extends z.ZodObject>(
  schema: S,
  { query }: Pick<HttpRequest, 'query'>,
  more: Readonly<Record<string, readonly string[]>> = {},
): z.infer<S> {
  const asked = Object.fromEntries([...query].filter(([key, value]) => !BESIDE.has(key) && value !== ''));
  const parsed = schema.strict().safeParse(asked);
  if (parsed.success) return parsed.data as z.infer<S>;
  const [issue] = parsed.error.issues;
  const filter = issue?.path.join('.') ?? '';
  if (issue?.code === 'invalid_value') {
    const values = [...issue.values.map(String), ...(more[filter] ?? [])];
    throw new InputError('FILTER_INVALID', `there is no ${filter} ${(asked[filter] ?? '').slice(0, 40)}`, {
      remedy: `Give one of ${values.join(', ')}.`,
    });
  }
  const remedy: unknown = issue?.code === 'custom' ? issue.params?.remedy : undefined;
  if (issue !== undefined && typeof remedy === 'string') {
    throw new InputError('FILTER_INVALID', `${filter}: ${issue.message}`, { remedy });
  }
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : filter;
  throw new InputError('FILTER_INVALID', `there is no filter ${unknown}`, {
    remedy: `The filters are ${Object.keys(schema.shape).join(', ')}.`,
  });
}

/** Splits `localhost:5000/samples/**` into its registry and its repository. */
function withRegistry<F extends { registry?: string; repository?: string }>(filter: F): F {
  const [host = '', ...rest] = filter.repository?.split('/') ?? [];
  const isHost = rest.length > 0 && /[.:]|^localhost$/.test(host) && isRegistryHost(host);
  return isHost ? { ...filter, registry: host.toLowerCase(), repository: rest.join('/') } : filter;
}

/** Moves globs, and names that end in a slash, to the fields that the lists read. */
function withGlobs<F extends NameGlobs & { globs?: NameGlobs }>(filter: F): F {
  const rest = { ...filter };
  const globs: NameGlobs = {};
  for (const key of ['rule', 'registry', 'repository', 'tag', 'destination'] as const) {
    const value = filter[key];
    if (value === undefined) continue;
    const isPrefix = (key === 'repository' || key === 'destination') && value.endsWith('/');
    const glob = isPrefix ? `${value}**` : value;
    if (!isGlob(glob)) continue;
    globs[key] = glob;
    delete rest[key];
  }
  return Object.keys(globs).length === 0 ? filter : { ...rest, globs };
}
