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
import { allOf, type DeclaredLicence } from './licences.js';

const DECLARED = 'declared';

/** The schema allows either one expression or a list of licenses. */
function licencesOf(declared: readonly DeclaredLicence[]): object[] {
  const isKnown = declared.every(({ refs }) => refs.size === 0);
  if (isKnown && declared.some(({ isId }) => !isId)) {
    return [{ expression: allOf(declared), acknowledgement: DECLARED }];
  }
  return declared.map(({ expression, isId, text }) => ({
    license: { ...(isId ? { id: expression } : { name: text }), acknowledgement: DECLARED },
  }));
}

function supplier(declared: string | undefined): object {
  const found = supplierOf(declared);
  if (found === undefined) return {};
  const { name, email } = found;
  return { supplier: { name, ...(email !== undefined && { contact: [{ email }] }) } };
}

function componentOf(component: Component, { licences }: DocumentInput): object {
  const { ref, type, namespace, name, purl, hashes = [], source, occurrences } = component;
  const declared = licences.read(component.licenses);
  return {
    type: type === 'generic' ? 'application' : 'library',
    'bom-ref': ref,
    ...supplier(component.supplier),
    ...(namespace !== undefined && !isOsPackage(component) && { group: namespace }),
    name,
    // A jar may state none.
    ...(component.version !== '' && { version: versionOf(component) }),
    ...(hashes.length > 0 && { hashes: hashes.map(({ algorithm, hex }) => ({ alg: algorithm, content: hex })) }),
    ...(declared.length > 0 && { licenses: licencesOf(declared) }),
    ...(purl !== undefined && { purl }),
    ...(source !== undefined && { properties: sourceProperties(type, source) }),
    evidence: {
      occurrences: occurrences.map(({ layer, path }) => ({
        location: `/${path}`,
        additionalContext: `layer ${layer}`,
      })),
    },
  };
}

/**
 * Trivy looks up vulnerabilities of distributions by the source package, and reads it only from these properties. The
 * release of an rpm is a separate property.
 */
function sourceProperties(type: string, { name, version = '' }: NonNullable<Component['source']>): object[] {
  const dash = type === 'rpm' ? version.lastIndexOf('-') : -1;
  const parts: [string, string][] = [
    ['SrcName', name],
    ['SrcVersion', dash < 0 ? version : version.slice(0, dash)],
    ['SrcRelease', dash < 0 ? '' : version.slice(dash + 1)],
  ];
  return parts.flatMap(([key, value]) => (value === '' ? [] : [{ name: `aquasecurity:trivy:${key}`, value }]));
}

/** A reference that no package URL can have. */
const OS_REF = 'operating-system';

function* componentsOf(input: DocumentInput): Generator<object> {
  const { distro } = input;
  if (distro !== undefined) {
    const { id, versionId } = distro;
    yield {
      type: 'operating-system',
      'bom-ref': OS_REF,
      name: id,
      ...(versionId !== undefined && { version: versionId }),
    };
  }
  for (const component of input.components) yield componentOf(component, input);
}

/**
 * The image depends on the operating system and on the packages that do not belong to it; the operating system depends
 * on its packages.
 */
function* dependenciesOf(root: string, { distro, components }: DocumentInput): Generator<object> {
  const isBelow = (component: Component): boolean => distro !== undefined && isOsPackage(component);
  const refs = (wanted: (component: Component) => boolean): string[] => components.filter(wanted).map(({ ref }) => ref);
  yield list(root, [...(distro === undefined ? [] : [OS_REF]), ...refs((component) => !isBelow(component))]);
  if (distro !== undefined) yield list(OS_REF, refs(isBelow));
  for (const { ref, dependsOn } of components) yield list(ref, dependsOn);
}

function list(ref: string, dependsOn: readonly string[]): object {
  return { ref, ...(dependsOn.length > 0 && { dependsOn }) };
}

/**
 * A CycloneDX 1.6 document as JSON values. Components and dependencies are made when they are written.
 * @see https://cyclonedx.org/docs/1.6/json/
 */
export function toCycloneDx(input: DocumentInput): object {
  const { name, digest, config } = input;
  const purl = imagePurl(input);
  const root = purl ?? `${name}@${digest}`;
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: documentId(input, 'cyclonedx'),
    version: 1,
    metadata: {
      timestamp: config.created,
      tools: { components: [{ type: 'application', name: TOOL.name, version: TOOL.version }] },
      component: {
        type: 'container',
        'bom-ref': root,
        name,
        version: digest,
        ...(purl !== undefined && { purl }),
      },
      properties: propertiesOf(input),
    },
    components: componentsOf(input),
    dependencies: dependenciesOf(root, input),
    // Dependencies are listed where a package database states them.
    compositions: [
      { aggregate: aggregateOf(input), assemblies: [root] },
      { aggregate: 'unknown', dependencies: [root] },
    ],
  };
}
