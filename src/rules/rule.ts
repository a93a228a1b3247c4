import { z } from 'zod';
import { createHash } from 'node:crypto';
import type { TagName } from './match.js';

/** Limits of a rule's deadline, in milliseconds. `RULES_INVALID` */
const SHORTEST_DEADLINE_MS = 10_000;
const LONGEST_DEADLINE_MS = 7 * 24 * 3_600_000;

/** A signature that the evidence gate accepts. */
const signaturePolicySchema = z.strictObject({
  format: z.literal('notary'),
  /** PEM certificates: inline, or a path relative to the rules file. */
  trustStore: z.string().min(1),
  /** Trusted identities as in notation's trust policy: `x509.subject: C=US, O=Example`, or `*`. */
  identities: z.array(z.string().min(1)).min(1).default(['*']),
});

/** Causes of gaps in SBOMs, as the library `sbom` names them. */
export const SBOM_GAPS = [
  'layer-elsewhere',
  'layer-unreadable',
  'archive-doubtful',
  'link-unresolved',
  'sparse-file',
  'file-too-large',
  'database-unreadable',
  'entry-skipped',
  'no-reader',
  'too-many-licences',
  'unowned-binaries',
  'unowned-interpreters',
] as const;

const globs = z.array(z.string().min(1).max(300)).min(1).max(100);

function isDeadline(text: string): boolean {
  const ms = parseDuration(text);
  return ms !== undefined && ms >= SHORTEST_DEADLINE_MS && ms <= LONGEST_DEADLINE_MS;
}

export const ruleSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a rule name is lower-case letters, digits and dashes, 63 at most'),
  mode: z.enum(['enforce', 'observe']).default('enforce'),
  existing: z.enum(['ignore', 'promote']).default('ignore'),
  source: z.strictObject({
    /** In lower case, as in events. */
    registry: z.string().min(1).max(255).toLowerCase(),
    /** Globs of repositories; a leading `!` excludes. */
    repositories: globs,
    /** Globs of tags. Default: all tags. */
    tags: globs.default(['*']),
  }),
  triggers: z
    .array(z.enum(['push', 'schedule']))
    .min(1)
    .default(['push', 'schedule']),
  verify: z
    .strictObject({ signatures: z.array(signaturePolicySchema).max(10).default([]) })
    .default({ signatures: [] }),
  sbom: z
    .strictObject({
      formats: z
        .array(z.enum(['cyclonedx', 'spdx']))
        .max(2)
        .overwrite((formats) => [...new Set(formats)])
        .default(['cyclonedx']),
      /** Causes of gaps that an SBOM may have; others are refused. Default: all gaps are only named. */
      allowGaps: z.array(z.enum(SBOM_GAPS)).max(SBOM_GAPS.length).optional(),
      /** True to make SBOMs by older versions of this app again. */
      refresh: z.boolean().default(false),
    })
    .default({ formats: ['cyclonedx'], refresh: false }),
  sign: z
    .array(z.enum(['notary']))
    .max(1)
    .default(['notary']),
  /** How long after its start a run keeps retrying transient errors. */
  deadline: z
    .string()
    .refine(isDeadline, 'a deadline is a whole number of seconds, minutes, hours or days: 90m, 24h; 10s to 7d')
    .default('24h'),
  /** Where SBOMs and signatures are attached. With `destination`, nothing is written to the source. */
  attachTo: z.enum(['source', 'destination']).default('source'),
  referrers: z
    .strictObject({ excludeArtifactTypes: z.array(z.string().min(1)).max(100) })
    .default({ excludeArtifactTypes: ['application/vnd.azure.artifact.streaming.v1'] }),
  destination: z.strictObject({
    /** `registry/repository:tag`; `{repository}` and `{tag}` are replaced. Default tag: the source's. */
    reference: z
      .string()
      .min(1)
      .max(1000)
      .overwrite((text) => text.replace(/^[^/]*/, (registry) => registry.toLowerCase())),
  }),
});

/** A promotion rule: source, evidence and destination. */
export type Rule = z.infer<typeof ruleSchema>;
export type SignaturePolicy = z.infer<typeof signaturePolicySchema>;

/** {@link Rule.deadline} in milliseconds. */
export function deadlineMs(rule: Rule): number {
  return parseDuration(rule.deadline) ?? LONGEST_DEADLINE_MS;
}

/** A source repository of a rule. */
export interface SourceRepository {
  registry: string;
  repository: string;
}

/**
 * Identifies everything in a rule that can change a promotion's outcome. 16 hex digits. Leaves out the deadline and the
 * triggers; also the source, because it does not change what happens to a tag that it matches.
 */
export function fingerprint({ mode, verify, sbom, sign, attachTo, referrers, destination }: Rule): string {
  return hash([mode, verify, sbom, sign, attachTo, referrers, destination]);
}

/** Identifies everything in a rule that requires a new full scan of its source. 16 hex digits. */
export function scanFingerprint(rule: Rule): string {
  return hash([fingerprint(rule), rule.source, rule.existing]);
}

/** True if the rule demands evidence. */
export function demandsEvidence({ verify }: Pick<Rule, 'verify'>): boolean {
  return verify.signatures.length > 0;
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** The id of a promotion: a hash of rule name and source tag, never of a digest. 32 hex digits. */
export function promotionId(ruleName: string, source: TagName): string {
  const text = JSON.stringify([ruleName, source.registry, source.repository, source.tag]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 24 * 3_600_000 } as const;

/** Parses `90s`, `10m`, `24h` or `7d` into milliseconds; undefined if the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  const { count = '', unit = '' } = /^(?<count>[1-9]\d{0,5})(?<unit>[smhd])$/.exec(text)?.groups ?? {};
  const unitMs = Object.entries(UNITS).find(([name]) => name === unit)?.[1];
  return unitMs === undefined ? undefined : Number(count) * unitMs;
}

/** The most bytes of one rule as JSON, with its trust stores: each run carries its rule as input. `RULES_INVALID` */
const RULE_BYTES = 30_000;

/**
 * Reports that a rule, with its trust stores, is too large to be the input of a run. Undefined if it is small enough.
 */
export function sizeProblem(rule: Rule): string | undefined {
  const bytes = Buffer.byteLength(JSON.stringify(rule));
  if (bytes <= RULE_BYTES) return undefined;
  return `rule ${rule.name} has ${bytes} bytes; the maximum is ${RULE_BYTES}`;
}
