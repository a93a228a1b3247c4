import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { formatReference, InputError, isRegistryHost, parseReference } from '../../oci/index.js';
import { parseDuration } from '../../rules/rule.js';
import { isGlob } from '../../rules/match.js';
import type { IgnoredFilter, NameGlobs, PromotionFilter, RunFilter } from '../../rows/lists.js';
import { OUTCOMES } from '../../rows/run-row.js';
import { PROMOTION_STATES } from '../../rows/promotion-row.js';

/** Query parameters that are not filters: the page, and the function key of Azure. */
const BESIDE = new Set(['size', 'from', 'code', 'clientId']);

const text = z.string().min(1).max(500).exactOptional();
/**
 * A name, a glob as in a rule (`samples/**`, `v1.*`), or, for a repository, the beginning of its name up to a slash.
 */
const name = text;
/** An RFC 3339 time, or how long ago: `90s`, `10m`, `24h`, `7d`. */
const since = z
  .string()
  .transform((written, context) => {
    const ms = parseDuration(written);
    const time = ms === undefined ? Date.parse(written) : Date.now() - ms;
    if (!Number.isNaN(time)) return new Date(time).toISOString();
    context.addIssue({
      code: 'custom',
      message: `${written.slice(0, 40)} is neither a time nor a duration such as 24h`,
    });
    return z.NEVER;
  })
  .exactOptional();
/** A digest, or at least its first six characters, with `sha256:` or without. */
const digest = z
  .string()
  .regex(/^(?:sha(?:256|512):)?[0-9a-f]{6,128}$/, 'a digest has at least six hexadecimal characters')
  .transform((written) => (written.includes(':') ? written : `sha256:${written}`))
  .exactOptional();
const promotionQuery = z.object({
  rule: name,
  registry: name,
  repository: name,
  tag: name,
  state: z.enum(PROMOTION_STATES).exactOptional(),
  destination: name,
  since,
});
const runQuery = z.object({
  rule: name,
  registry: name,
  repository: name,
  tag: name,
  state: z.enum(['open', 'pending', 'running', 'ended', ...OUTCOMES]).exactOptional(),
  digest,
  kind: z.enum(['promotion', 'job']).exactOptional(),
  operation: text,
  since,
});
const ignoredQuery = z.object({ state: z.literal('ignored'), reference: text, since });

/** @throws InputError `FILTER_INVALID` */
export function promotionFilterOf(request: Pick<HttpRequest, 'query'>): PromotionFilter {
  return withGlobs(withRegistry(queryOf(promotionQuery, request)));
}

/** @throws InputError `FILTER_INVALID` */
export function runFilterOf(request: Pick<HttpRequest, 'query'>): RunFilter {
  return withGlobs(withRegistry(queryOf(runQuery, request)));
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

/** Refuses an unknown filter. If it were ignored, the list would be longer than its reader expects. */
function queryOf<S extends z.ZodObject>(schema: S, { query }: Pick<HttpRequest, 'query'>): z.infer<S> {
  const asked = Object.fromEntries([...query].filter(([key, value]) => !BESIDE.has(key) && value !== ''));
  const parsed = schema.strict().safeParse(asked);
  if (parsed.success) return parsed.data as z.infer<S>;
  const [issue] = parsed.error.issues;
  const filter = issue?.path.join('.') ?? '';
  const known = issue?.code === 'invalid_value' ? issue.values.map(String) : undefined;
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : undefined;
  const said = known === undefined ? (issue?.message ?? '') : `${asked[filter] ?? ''} is not known`;
  throw new InputError(
    'FILTER_INVALID',
    unknown === undefined ? `${filter}: ${said}` : `there is no filter ${unknown}`,
    {
      remedy:
        known === undefined
          ? `The filters are ${Object.keys(schema.shape).join(', ')}.`
          : `Give one of ${known.join(', ')}.`,
    },
  );
}

/** Splits `localhost:5000/samples/**` into its registry and its repository. */
function withRegistry<F extends { registry?: string; repository?: string }>(filter: F): F {
  const [host = '', ...rest] = filter.repository?.split('/') ?? [];
  const isHost = rest.length > 0 && /[.:]|^localhost$/.test(host) && isRegistryHost(host);
  return isHost ? { ...filter, registry: host.toLowerCase(), repository: rest.join('/') } : filter;
}

/** Moves globs, and repositories that end in a slash, to the fields that the lists read. */
function withGlobs<F extends NameGlobs & { globs?: NameGlobs }>(filter: F): F {
  const rest = { ...filter };
  const globs: NameGlobs = {};
  for (const key of ['rule', 'registry', 'repository', 'tag', 'destination'] as const) {
    const value = filter[key];
    if (value === undefined) continue;
    const glob = key === 'repository' && value.endsWith('/') ? `${value}**` : value;
    if (!isGlob(glob)) continue;
    globs[key] = glob;
    delete rest[key];
  }
  return Object.keys(globs).length === 0 ? filter : { ...rest, globs };
}
