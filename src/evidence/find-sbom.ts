import {
  PolicyError,
  mapConcurrently,
  parseManifest,
  parseObject,
  type Descriptor,
  type Digest,
  type ReadableRepository,
} from '../oci/index.js';
import { z } from 'zod';
import type { Ports } from '../ports/ports.js';
import { untilWritten } from '../rows/row-writes.js';
import { descriptor } from '../rows/step-contract.js';
import type { Rule } from '../rules/rule.js';
import {
  GAP_CAUSES,
  SBOM_MEDIA_TYPES,
  TOOL_VERSION,
  type GapCause,
  type Sbom,
  type SbomFormat,
} from '../sbom/index.js';
import { isThere } from '../transfer/registry-access.js';
import { LOOKED_AT_ONCE } from './classify.js';
import { findOurSignature } from './our-signature.js';
import { sbomClaim } from './signature-checks.js';

/** Maximum number of an image's unrecorded SBOMs that are checked. Further ones are skipped. */
const MOST_FOREIGN_SBOMS = 100;

/** Which SBOMs a rule makes, and whether it signs attachments. */
export interface SbomRule {
  sign: readonly Rule['sign'][number][];
  sbom: SbomDemands & { formats: readonly SbomFormat[] };
}

/** An SBOM of this app. */
export interface OurSbom extends Descriptor {
  /** The app's signature of it, if the rule signs attachments. */
  signature?: Digest;
  /** What its manifest says, if the rule asks for it. */
  facts?: SbomFacts;
  /** True if the rule demands that it is made again. */
  isOutdated?: boolean;
}

/**
 * Finds the SBOM of an image by this app: this app's signature of it verifies and says that it is the SBOM of this
 * image. If the rule signs nothing, the record that was written before the push decides. SBOMs by others are left
 * alone. An SBOM that is listed but missing does not count.
 * @param onLate called if there is none, with the recorded SBOMs that are listed but missing
 */
export async function findOurSbom(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  rule: SbomRule,
  repository: ReadableRepository,
  { image, format }: { image: Pick<Descriptor, 'digest'>; format: SbomFormat },
  signal: AbortSignal,
  onLate: (sboms: Digest[]) => Promise<void> = async () => {},
): Promise<OurSbom | undefined> {
  const options = { artifactType: SBOM_MEDIA_TYPES[format], artifactTypes: false, signal };
  const listed = await repository.listReferrers(image.digest, options);
  if (listed.length === 0) return undefined;
  const digests = new Set(listed.map(({ digest }) => digest));
  // Use the recorded descriptors: a list may have a wrong size or type.
  const made = parse(await ports.documents.get('documents', nameOf(image)));
  const recorded = made.filter(({ digest }) => digests.has(digest));
  let outdated: OurSbom | undefined;
  for await (const found of ourSboms(ports, rule, repository, { image, listed, recorded }, signal)) {
    if (!needsFacts(rule.sbom)) return found;
    const facts = await readFacts(repository, found, signal);
    if (!isOutdated(facts, rule.sbom)) return { ...found, facts };
    outdated ??= { ...found, facts, isOutdated: true };
  }
  if (outdated !== undefined) return outdated;
  const late: Digest[] = [];
  for (const sbom of recorded) if (!(await isThere(repository, sbom, signal))) late.push(sbom.digest);
  if (late.length > 0) await onLate(late);
  return undefined;
}

/** The SBOMs that are by this app and exist. The recorded ones come first, newest first. */
async function* ourSboms(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  { sign }: SbomRule,
  repository: ReadableRepository,
  {
    image,
    listed,
    recorded,
  }: { image: Pick<Descriptor, 'digest'>; listed: readonly Descriptor[]; recorded: readonly Descriptor[] },
  signal: AbortSignal,
): AsyncGenerator<OurSbom> {
  const { signer } = ports;
  if (signer === undefined || sign.length === 0) {
    for (const sbom of recorded) if (await isThere(repository, sbom, signal)) yield sbom;
    return;
  }
  const noted = new Set<string>(recorded.map(({ digest }) => digest));
  // Anybody can attach any number of SBOMs. The recorded ones come first, and the number of others is limited.
  const others = listed.filter(({ digest }) => !noted.has(digest)).slice(0, MOST_FOREIGN_SBOMS);
  for (const some of [recorded, others]) {
    const signatures = await mapConcurrently(some, LOOKED_AT_ONCE, (sbom) =>
      findOurSignature(ports, repository, sbomClaim(sbom, image), signer, signal),
    );
    for (const [index, sbom] of some.entries()) {
      const signature = signatures[index]?.digest;
      if (signature !== undefined && (await isThere(repository, sbom, signal))) yield { ...sbom, signature };
    }
  }
}

/** Maximum recorded SBOMs of one image: for each repository that it was promoted from, one of each format and version. */
const MOST_MADE_SBOMS = 1_000;

const madeSchema = z.object({ sboms: z.array(descriptor) });

function nameOf(image: Pick<Descriptor, 'digest'>): string {
  return `sboms/${image.digest.replace(':', '-')}.json`;
}

/** An unreadable record counts as empty. The SBOMs are then made again, with the same bytes. */
function parse(bytes: Uint8Array | undefined): Descriptor[] {
  return madeSchema.safeParse(parseObject(bytes ?? '')).data?.sboms ?? [];
}

/** Records an SBOM as made by this app, in any repository, before it is pushed. */
export async function noteMadeSbom(
  { documents }: Pick<Ports, 'documents'>,
  image: Pick<Descriptor, 'digest'>,
  made: Descriptor,
): Promise<void> {
  await untilWritten(image.digest, async () => {
    const found = await documents.getVersioned('documents', nameOf(image));
    const before = parse(found?.value);
    if (before.some((sbom) => sbom.digest === made.digest)) return true;
    const { mediaType, digest, size } = made;
    const sboms = [{ mediaType, digest, size }, ...before].slice(0, MOST_MADE_SBOMS);
    const bytes = Buffer.from(JSON.stringify({ sboms }));
    return documents.putVersioned('documents', nameOf(image), bytes, found?.version);
  });
}

/** What the manifest of an SBOM of this app says about it. */
interface SbomFacts {
  /** `acr-promoter/0.1.0` */
  tool?: string;
  /** The causes of its gaps. Undefined if the manifest does not say. */
  gaps?: GapCause[];
}

const TOOL = 'io.acr-promoter.sbom.tool';
/** `layer-elsewhere=1,unowned-binaries=12`; empty if the SBOM is complete. */
const GAPS = 'io.acr-promoter.sbom.gaps';
const REPLACES = 'io.acr-promoter.sbom.replaces';

/** @param replaced the digest of the SBOM by an older version that this one replaces */
export function annotationsOf({ created, tool, gaps }: Sbom, replaced: Digest | undefined): Record<string, string> {
  return {
    'org.opencontainers.image.created': created,
    [TOOL]: tool,
    [GAPS]: gaps.map(({ cause, count }) => `${cause}=${count}`).join(','),
    ...(replaced !== undefined && { [REPLACES]: replaced }),
  };
}

/** Reads the annotations of an SBOM's manifest, whose digest is verified. @throws RegistryError if it does not exist */
async function readFacts(
  repository: ReadableRepository,
  { digest }: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<SbomFacts> {
  const { bytes, descriptor } = await repository.fetchManifest(digest, { signal });
  const { annotations = {} } = parseManifest(bytes, descriptor.mediaType, `${repository.name}@${digest}`);
  const { [TOOL]: tool, [GAPS]: text } = annotations;
  const named = text === undefined || text === '' ? [] : text.split(',').map((each) => each.replace(/=.*$/, ''));
  const gaps = GAP_CAUSES.filter((cause) => named.includes(cause));
  // A cause that this version does not know counts as not said.
  const isKnown = text !== undefined && gaps.length === named.length;
  return { ...(tool !== undefined && { tool }), ...(isKnown && { gaps }) };
}

/** What a rule demands of SBOMs. */
interface SbomDemands {
  /** If given, other gaps than these are refused. */
  allowGaps?: readonly GapCause[] | undefined;
  /** True if SBOMs by older versions of this app are made again. */
  refresh: boolean;
}

/** True if {@link isOutdated} or {@link refusedGaps} need the annotations. */
function needsFacts({ allowGaps, refresh }: SbomDemands): boolean {
  return refresh || allowGaps !== undefined;
}

/** True if the SBOM must be made again. */
function isOutdated({ tool, gaps }: SbomFacts, { allowGaps, refresh }: SbomDemands): boolean {
  return (refresh && tool !== TOOL_VERSION) || (allowGaps !== undefined && gaps === undefined);
}

/** The causes of gaps that the rule does not allow. */
export function refusedGaps({ gaps = [] }: SbomFacts, { allowGaps }: SbomDemands): GapCause[] {
  return allowGaps === undefined ? [] : gaps.filter((cause) => !allowGaps.includes(cause));
}

/** The error for an SBOM with gaps that the rule does not allow. */
export function incompleteError(sbom: string, label: string, causes: readonly GapCause[]): PolicyError {
  return new PolicyError('SBOM_INCOMPLETE', `the SBOM ${sbom} of ${label} has gaps: ${causes.join(', ')}`, {
    remedy:
      'The SBOM names the files: install them by a package manager, or add the cause to sbom.allowGaps of the rule.',
  });
}
