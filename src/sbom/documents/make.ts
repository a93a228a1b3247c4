import type { Distro, LocatedPackage } from '../catalogers/cataloger.js';
import type { Gaps } from '../gaps.js';
import type { Sbom } from '../generator.js';
import type { ImageConfig } from '../image-config.js';
import type { SbomLimits } from '../limits.js';
import { SBOM_FILE_NAMES, SBOM_MEDIA_TYPES, TOOL_VERSION, type SbomFormat } from '../tool.js';
import { listComponents } from './components.js';
import { toCycloneDx } from './cyclonedx.js';
import { encodeJson } from './json.js';
import { Licences } from './licences.js';
import { toSpdxDocument } from './spdx.js';

/** What was found in an image. */
export interface Findings {
  /** `registry/repository` */
  name: string;
  digest: string;
  config: ImageConfig;
  distro?: Distro;
  packages: readonly LocatedPackage[];
  gaps: Gaps;
  /** Names of the package catalogers that ran: `dpkg`, `npm`. */
  covered: readonly string[];
}

const WRITERS = { cyclonedx: toCycloneDx, spdx: toSpdxDocument } as const;

/**
 * Makes the documents of an image, one for each format. The same findings give the same bytes.
 * @throws InputError `SBOM_LIMIT`
 */
export function makeSboms(
  { packages, gaps, ...found }: Findings,
  formats: readonly SbomFormat[],
  limits: SbomLimits,
): Sbom[] {
  const { components, gaps: unlisted } = listComponents(packages, found.distro, limits);
  for (const { cause, detail } of unlisted) gaps.add(cause, detail);
  const counts: Record<string, number> = {};
  for (const { type } of components) counts[type] = (counts[type] ?? 0) + 1;
  const input = { ...found, components, licences: new Licences(), gaps: gaps.list() };
  return formats.map((format) => ({
    format,
    mediaType: SBOM_MEDIA_TYPES[format],
    fileName: SBOM_FILE_NAMES[format],
    bytes: encodeJson(WRITERS[format](input), limits.documentBytes),
    tool: TOOL_VERSION,
    created: found.config.created,
    counts,
    gaps: input.gaps,
  }));
}
