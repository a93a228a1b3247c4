import { createHash } from 'node:crypto';
import { Contrib, Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import parseSpdxExpression from 'spdx-expression-parse';
import { makePurl, type ListedPackage } from './components.js';
import type { ImageConfig } from './image-config.js';
import { jsonInTurns } from './json-in-turns.js';
import type { SbomLimits } from './limits.js';
import type { Turns } from './turns.js';

/** The tool that an SBOM names. A new version may find more, so its documents may differ. */
export const TOOL = { name: 'acr-promoter', version: '0.1.0' } as const;

/** @see https://cyclonedx.org/docs/1.6/json/#compositions_items_aggregate */
type Aggregate = 'incomplete' | 'incomplete_third_party_only';

/** The content of a document. */
export interface DocumentInput {
  /** `registry/repository` */
  name: string;
  digest: string;
  config: ImageConfig;
  packages: readonly ListedPackage[];
  gaps: readonly string[];
  /** Files of ecosystems that no cataloger reads. */
  unread: readonly string[];
  /** Names of the package catalogers that ran: `dpkg`, `npm`. */
  covered: readonly string[];
}

const licenseFactory = new Contrib.License.Factories.LicenseFactory(parseSpdxExpression);
const normalizers = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
/**
 * Maximum characters of a license expression. Longer texts are not real expressions, and parsing takes quadratic time.
 */
const LONGEST_EXPRESSION = 250;

/**
 * A name-based UUID, version 5 (RFC 9562), from the image and the tool's version, so that one number always means the
 * same document.
 */
function serialNumber({ name, digest }: DocumentInput): string {
  const hash = createHash('sha1').update(`${TOOL.name}/${TOOL.version} cyclonedx ${name}@${digest}`).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex', 0, 16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function makeLicense(text: string, mayBeExpression: boolean): Models.License {
  // The library looks up ids in a plain object, so it would find `constructor`.
  if (text.toLowerCase() in Object.prototype) return licenseFactory.makeNamedLicense(text);
  return mayBeExpression ? licenseFactory.makeFromString(text) : licenseFactory.makeDisjunctive(text);
}

function licensesOf(found: ListedPackage): Models.LicenseRepository {
  const licenses = new Models.LicenseRepository();
  const only = found.licenses.length === 1;
  for (const text of found.licenses) {
    // The schema allows either one expression or a list of licenses.
    const license = makeLicense(text, only && text.length <= LONGEST_EXPRESSION);
    license.acknowledgement = Enums.LicenseAcknowledgement.Declared;
    licenses.add(license);
  }
  return licenses;
}

function rootComponent({ name, digest, config }: DocumentInput): Models.Component {
  const repository = name.slice(name.lastIndexOf('/') + 1);
  const purl = makePurl('oci', undefined, repository, digest, {
    repository_url: name,
    ...(config.architecture !== undefined && { arch: config.architecture }),
  });
  return new Models.Component(Enums.ComponentType.Container, name, {
    bomRef: purl ?? `${name}@${digest}`,
    version: digest,
    ...(purl !== undefined && { purl }),
  });
}

/** A package and its reference within the document. */
interface NamedPackage {
  found: ListedPackage;
  bomRef: string;
}

/**
 * Assigns each package a unique reference. Package URLs are in lower case, so two packages can have the same one: all
 * but the first get a number.
 */
function nameAll(packages: readonly ListedPackage[], root: string): NamedPackage[] {
  const taken = new Set([root]);
  // The number where the next search starts. If every search started at 2, a thousand packages with one name would take
  // half a million lookups.
  const counts = new Map<string, number>();
  return packages.map((found) => {
    const wanted = found.purl ?? `${found.type}:${found.group ?? ''}/${found.name}@${found.version}`;
    let bomRef = wanted;
    let count = counts.get(wanted) ?? 1;
    while (taken.has(bomRef)) {
      count += 1;
      bomRef = `${wanted}#${count}`;
    }
    counts.set(wanted, count);
    taken.add(bomRef);
    return { found, bomRef };
  });
}

/** Normalizes a component and adds its locations, which the library's models lack. */
function normalizeComponent({ found, bomRef }: NamedPackage): object {
  const component = new Models.Component(Enums.ComponentType.Library, found.name, {
    bomRef,
    version: found.version,
    licenses: licensesOf(found),
    ...(found.group !== undefined && { group: found.group }),
    ...(found.purl !== undefined && { purl: found.purl }),
  });
  const occurrences = found.occurrences.map(({ layer, path }) => ({
    location: `/${path}`,
    additionalContext: `layer ${layer}`,
  }));
  return { ...normalizers.makeForComponent().normalize(component, {}), evidence: { occurrences } };
}

/**
 * Makes a CycloneDX 1.6 document in JSON. The same input gives the same bytes.
 * The composition states how complete it is: `incomplete` if there are gaps, otherwise `incomplete_third_party_only`,
 * because files that belong to no package (the image's own program) are not listed. It is never `complete`.
 * @throws InputError `SBOM_LIMIT`
 * @see https://cyclonedx.org/docs/1.6/json/
 */
export async function makeDocument(
  input: DocumentInput,
  { documentBytes }: Pick<SbomLimits, 'documentBytes'>,
  turns: Turns,
): Promise<Uint8Array> {
  const root = rootComponent(input);
  const bom = new Models.Bom({ serialNumber: serialNumber(input) });
  bom.metadata.timestamp = new Date(input.config.created);
  bom.metadata.component = root;
  bom.metadata.tools.components.add(
    new Models.Component(Enums.ComponentType.Application, TOOL.name, { version: TOOL.version }),
  );
  for (const covered of input.covered)
    bom.metadata.properties.add(new Models.Property('acr-promoter:covered', covered));
  for (const gap of input.gaps) bom.metadata.properties.add(new Models.Property('acr-promoter:gap', gap));
  for (const unread of input.unread) bom.metadata.properties.add(new Models.Property('acr-promoter:unread', unread));
  const ref = root.bomRef.value ?? '';
  const named = nameAll(input.packages, ref);
  const aggregate: Aggregate = input.gaps.length > 0 ? 'incomplete' : 'incomplete_third_party_only';
  // Components and dependencies are generated while they are written; the library would create all of them at once.
  const document = {
    ...normalizers.makeForBom().normalize(bom, {}),
    components: mapEach(named, normalizeComponent),
    dependencies: dependenciesOf(ref, named),
    compositions: [{ aggregate, assemblies: [ref], dependencies: [ref] }],
  };
  return await jsonInTurns(document, documentBytes, turns);
}

function* dependenciesOf(root: string, named: readonly NamedPackage[]): Generator<object> {
  yield { ref: root, ...(named.length > 0 && { dependsOn: named.map(({ bomRef }) => bomRef) }) };
  for (const { bomRef } of named) yield { ref: bomRef };
}

function* mapEach<T, U>(items: Iterable<T>, make: (item: T) => U): Generator<U> {
  for (const item of items) yield make(item);
}
