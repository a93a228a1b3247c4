/** The tool that an SBOM names. A new version may find more, so its documents may differ. */
export const TOOL = { name: 'acr-promoter', version: '0.1.0' } as const;
/** Name and version of {@link TOOL}: `acr-promoter/0.1.0`. */
export const TOOL_VERSION = `${TOOL.name}/${TOOL.version}`;

/** Formats of an SBOM. Rules, jobs and the command line use these names. */
export const SBOM_FORMATS = ['cyclonedx', 'spdx'] as const;

/** A name of {@link SBOM_FORMATS}. */
export type SbomFormat = (typeof SBOM_FORMATS)[number];

/** Media type of each format: the artifact type of the referrer and the media type of its layer. */
export const SBOM_MEDIA_TYPES = {
  cyclonedx: 'application/vnd.cyclonedx+json',
  spdx: 'application/spdx+json',
} as const satisfies Record<SbomFormat, string>;

/** File name of each format. */
export const SBOM_FILE_NAMES = {
  cyclonedx: 'sbom.cdx.json',
  spdx: 'sbom.spdx.json',
} as const satisfies Record<SbomFormat, string>;
