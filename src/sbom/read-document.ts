import { InputError, isRecord, parseObject } from '../oci/index.js';
import { SBOM_LIMITS } from './limits.js';
import { overLimit } from './sbom-errors.js';
import type { SbomFormat } from './tool.js';

/** A package that an SBOM lists. */
export interface SbomPackage {
  /** Type of its package URL, otherwise the type of the component: `deb`, `npm`, `library`. */
  type: string;
  /** With its group: `@scope/name`, `org.example:name`. */
  name: string;
  version: string;
  purl?: string;
  licences: string[];
  paths: string[];
}

/** The packages of an SBOM by any tool. */
export interface ReadSbom {
  format: SbomFormat;
  packages: SbomPackage[];
}

/** Maximum nesting of components. `SBOM_INVALID` */
const DEEPEST = 100;
/** Components that are no packages, in CycloneDX and, in upper case and with or without a hyphen, in SPDX. */
const NO_PACKAGES = /^(?:operating[-_]system|file|container)$/i;

function textIn(value: unknown, name: string): string {
  const text = isRecord(value) ? value[name] : undefined;
  return typeof text === 'string' ? text : '';
}

function listIn(value: unknown, name: string): unknown[] {
  const list = isRecord(value) ? value[name] : undefined;
  return Array.isArray(list) ? list : [];
}

function typeOf(purl: string, otherwise: string): string {
  return /^pkg:(?<type>[a-z0-9.+-]+)\//i.exec(purl)?.groups?.type?.toLowerCase() ?? otherwise;
}

/**
 * Reads the packages of a CycloneDX or SPDX document in JSON. Fields of an unexpected shape count as absent.
 * @param name of the document, for errors
 * @throws InputError `SBOM_INVALID`, `SBOM_LIMIT`
 */
export function readSbom(bytes: Uint8Array, name = 'the file'): ReadSbom {
  const { documentBytes } = SBOM_LIMITS;
  if (bytes.length > documentBytes) throw overLimit('documentBytes', 'the SBOM is longer', documentBytes);
  const json = parseObject(bytes);
  if (json?.bomFormat === 'CycloneDX') return limited('cyclonedx', componentsIn(json));
  if (typeof json?.spdxVersion === 'string') return limited('spdx', spdxPackagesIn(json));
  throw invalid(`${name} is no CycloneDX or SPDX document in JSON`);
}

function invalid(what: string): InputError {
  return new InputError('SBOM_INVALID', what, { remedy: 'Name an SBOM in JSON, or an image.' });
}

function limited(format: SbomFormat, packages: SbomPackage[]): ReadSbom {
  if (packages.length > SBOM_LIMITS.packages) {
    throw overLimit('packages', 'the SBOM has more packages', SBOM_LIMITS.packages);
  }
  return { format, packages };
}

function componentsIn(json: unknown): SbomPackage[] {
  const packages: SbomPackage[] = [];
  let level = listIn(json, 'components');
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === DEEPEST) throw invalid(`its components nest deeper than ${DEEPEST} levels`);
    for (const component of level) {
      const type = textIn(component, 'type');
      if (NO_PACKAGES.test(type) || textIn(component, 'name') === '') continue;
      const [group, purl] = [textIn(component, 'group'), textIn(component, 'purl')];
      // trivy lists the files in which it found packages.
      if (type === 'application' && purl === '' && textIn(component, 'version') === '') continue;
      const ecosystem = typeOf(purl, type);
      const prefix = group === '' ? '' : `${group}${ecosystem === 'maven' ? ':' : '/'}`;
      packages.push({
        type: ecosystem,
        name: `${prefix}${textIn(component, 'name')}`,
        version: textIn(component, 'version'),
        ...(purl !== '' && { purl }),
        licences: listIn(component, 'licenses').map(licenceText).filter(Boolean),
        paths: listIn(isRecord(component) ? component.evidence : undefined, 'occurrences')
          .map((place) => textIn(place, 'location'))
          .filter(Boolean),
      });
    }
    level = level.flatMap((component) => listIn(component, 'components'));
  }
  return packages;
}

function licenceText(entry: unknown): string {
  const licence = isRecord(entry) ? entry.license : undefined;
  return textIn(entry, 'expression') || textIn(licence, 'id') || textIn(licence, 'name');
}

const LOCATION = /^acr-promoter:location: (?<path>.*) in layer /;

function spdxPackagesIn(json: Record<string, unknown>): SbomPackage[] {
  const described = new Set(
    listIn(json, 'relationships')
      .filter((each) => textIn(each, 'relationshipType') === 'DESCRIBES')
      .map((each) => textIn(each, 'relatedSpdxElement')),
  );
  return listIn(json, 'packages').flatMap((each) => {
    const [id, name] = [textIn(each, 'SPDXID'), textIn(each, 'name')];
    const purpose = textIn(each, 'primaryPackagePurpose');
    if (name === '' || described.has(id) || NO_PACKAGES.test(purpose)) return [];
    const purl = listIn(each, 'externalRefs')
      .filter((reference) => textIn(reference, 'referenceType') === 'purl')
      .map((reference) => textIn(reference, 'referenceLocator'))[0];
    const declared = textIn(each, 'licenseDeclared');
    return [
      {
        type: typeOf(purl ?? '', purpose.toLowerCase() || 'library'),
        name,
        version: textIn(each, 'versionInfo'),
        ...(purl !== undefined && { purl }),
        licences: ['', 'NOASSERTION', 'NONE'].includes(declared) ? [] : [declared],
        paths: listIn(each, 'annotations').flatMap(
          (annotation) => LOCATION.exec(textIn(annotation, 'comment'))?.groups?.path ?? [],
        ),
      },
    ];
  });
}
