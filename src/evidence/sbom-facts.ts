import { PolicyError, parseManifest, type Descriptor, type Digest, type ReadableRepository } from '../oci/index.js';
import { GAP_CAUSES, TOOL_VERSION, type GapCause, type Sbom } from '../sbom/index.js';

/** What the manifest of an SBOM of this app says about it. */
export interface SbomFacts {
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
export async function readFacts(
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
export interface SbomDemands {
  /** If given, other gaps than these are refused. */
  allowGaps?: readonly GapCause[] | undefined;
  /** True if SBOMs by older versions of this app are made again. */
  refresh: boolean;
}

/** True if {@link isOutdated} or {@link refusedGaps} need the annotations. */
export function needsFacts({ allowGaps, refresh }: SbomDemands): boolean {
  return refresh || allowGaps !== undefined;
}

/** True if the SBOM must be made again. */
export function isOutdated({ tool, gaps }: SbomFacts, { allowGaps, refresh }: SbomDemands): boolean {
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
