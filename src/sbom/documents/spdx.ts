import { createHash } from 'node:crypto';
import { TOOL } from '../tool.js';
import { isOsPackage, type Component } from './components.js';
import {
  aggregateOf,
  documentId,
  imagePurl,
  propertiesOf,
  supplierOf,
  versionOf,
  type DocumentInput,
} from './input.js';
import { allOf } from './licences.js';

const NO_ASSERTION = 'NOASSERTION';
const DOCUMENT = 'SPDXRef-DOCUMENT';
// Trivy tells the kind of a package by the start of its id.
const ROOT = 'SPDXRef-ContainerImage';
const SYSTEM = 'SPDXRef-OperatingSystem';

/** A package that this document says nothing more about. */
const UNSTATED = {
  downloadLocation: NO_ASSERTION,
  filesAnalyzed: false,
  licenseConcluded: NO_ASSERTION,
  copyrightText: NO_ASSERTION,
} as const;

function idOf({ type, name, ref }: Component): string {
  const readable = `${type}-${name}`.replaceAll(/[^A-Za-z0-9.]+/g, '-').slice(0, 60);
  return `SPDXRef-Package-${readable}-${createHash('sha256').update(ref).digest('hex').slice(0, 16)}`;
}

function purlReference(locator: string | undefined): object {
  if (locator === undefined) return {};
  const reference = { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: locator };
  return { externalRefs: [reference] };
}

function annotation(name: string, value: string, { config }: DocumentInput): object {
  return {
    annotationDate: config.created,
    annotationType: 'OTHER',
    annotator: `Tool: ${TOOL.name}-${TOOL.version}`,
    comment: `${name}: ${value}`,
  };
}

function supplierText(declared: string | undefined): string {
  const found = supplierOf(declared);
  if (found === undefined) return NO_ASSERTION;
  const { name, email, isPerson } = found;
  return `${isPerson ? 'Person' : 'Organization'}: ${name}${email === undefined ? '' : ` (${email})`}`;
}

function rootOf(input: DocumentInput): object {
  const { name, digest } = input;
  const sha256 = /^sha256:(?<hex>[0-9a-f]{64})$/.exec(digest)?.groups?.hex;
  return {
    SPDXID: ROOT,
    name,
    versionInfo: digest,
    ...UNSTATED,
    licenseDeclared: NO_ASSERTION,
    supplier: NO_ASSERTION,
    ...(sha256 !== undefined && { checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }] }),
    primaryPackagePurpose: 'CONTAINER',
    ...purlReference(imagePurl(input)),
  };
}

function packageOf(component: Component, input: DocumentInput): object {
  const { type, namespace, name, purl, hashes = [], source, occurrences } = component;
  const declared = input.licences.read(component.licenses);
  const group = isOsPackage(component) || namespace === undefined ? '' : `${namespace}${type === 'maven' ? ':' : '/'}`;
  const origin = source === undefined ? '' : `${source.name} ${source.version ?? ''}`.trim();
  return {
    SPDXID: idOf(component),
    name: `${group}${name}`,
    ...(component.version !== '' && { versionInfo: versionOf(component) }),
    ...UNSTATED,
    licenseDeclared: declared.length === 0 ? NO_ASSERTION : allOf(declared),
    supplier: supplierText(component.supplier),
    ...(hashes.length > 0 && {
      checksums: hashes.map(({ algorithm, hex }) => ({
        algorithm: algorithm.replace('-', ''),
        checksumValue: hex,
      })),
    }),
    // Trivy reads the source package from this text.
    ...(origin !== '' && { sourceInfo: `built package from: ${origin}` }),
    primaryPackagePurpose: type === 'generic' ? 'APPLICATION' : 'LIBRARY',
    ...purlReference(purl),
    annotations: occurrences.map(({ layer, path }) =>
      annotation('acr-promoter:location', `/${path} in layer ${layer}`, input),
    ),
  };
}

function* packagesOf(input: DocumentInput): Generator<object> {
  yield rootOf(input);
  if (input.distro !== undefined) {
    const { id, versionId } = input.distro;
    yield {
      SPDXID: SYSTEM,
      name: id,
      ...(versionId !== undefined && { versionInfo: versionId }),
      ...UNSTATED,
      licenseDeclared: NO_ASSERTION,
      supplier: NO_ASSERTION,
      primaryPackagePurpose: 'OPERATING_SYSTEM',
    };
  }
  for (const component of input.components) yield packageOf(component, input);
}

function* relationshipsOf({ distro, components }: DocumentInput): Generator<object> {
  const relate = (one: string, relationshipType: string, other: string): object => ({
    spdxElementId: one,
    relatedSpdxElement: other,
    relationshipType,
  });
  yield relate(DOCUMENT, 'DESCRIBES', ROOT);
  if (distro !== undefined) yield relate(ROOT, 'CONTAINS', SYSTEM);
  const ids = new Map(components.map((component) => [component.ref, idOf(component)]));
  for (const component of components) {
    const id = ids.get(component.ref) ?? '';
    yield relate(distro !== undefined && isOsPackage(component) ? SYSTEM : ROOT, 'CONTAINS', id);
    for (const ref of component.dependsOn) yield relate(id, 'DEPENDS_ON', ids.get(ref) ?? '');
  }
}

/** The texts of the licenses that SPDX does not list, in the order of the packages. */
function* extractedLicences({ components, licences }: DocumentInput): Generator<object> {
  const seen = new Set<string>();
  for (const { licenses } of components) {
    for (const [licenseId, extractedText] of licences.read(licenses).flatMap(({ refs }) => [...refs])) {
      if (seen.has(licenseId)) continue;
      seen.add(licenseId);
      yield { licenseId, name: NO_ASSERTION, extractedText };
    }
  }
}

/**
 * An SPDX 2.3 document as JSON values. Packages and relationships are made when they are written.
 * @see https://spdx.github.io/spdx-spec/v2.3/
 */
export function toSpdxDocument(input: DocumentInput): object {
  const { name, digest, config } = input;
  const stated = [{ name: 'acr-promoter:aggregate', value: aggregateOf(input) }, ...propertiesOf(input)];
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name: `${name}@${digest}`,
    documentNamespace: documentId(input, 'spdx'),
    creationInfo: {
      created: config.created,
      creators: [`Tool: ${TOOL.name}-${TOOL.version}`],
    },
    annotations: stated.map((each) => annotation(each.name, each.value, input)),
    packages: packagesOf(input),
    hasExtractedLicensingInfos: extractedLicences(input),
    relationships: relationshipsOf(input),
  };
}
