import { createHash } from 'node:crypto';
import { Contrib, Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import parseSpdxExpression from 'spdx-expression-parse';
import { makePurl, type ListedPackage } from './components.js';
import type { ImageConfig } from './image-config.js';
import { TOOL } from './tool.js';

/** @see https://cyclonedx.org/docs/1.6/json/#compositions_items_aggregate */
type Aggregate = 'incomplete' | 'incomplete_third_party_only';

export interface DocumentInput {
  /** `registry/repository` */
  name: string;
  digest: string;
  config: ImageConfig;
  packages: readonly ListedPackage[];
  gaps: readonly string[];
  /** Where what has no reader was seen. */
  unread: readonly string[];
  /** The databases that were looked for: `dpkg`, `npm`. */
  covered: readonly string[];
}

interface ImageBom extends Serialize.JSON.Types.Normalized.Bom {
  compositions: { aggregate: Aggregate; assemblies: string[]; dependencies: string[] }[];
}

const licenseFactory = new Contrib.License.Factories.LicenseFactory(parseSpdxExpression);

/** The library's serializer and the parts of CycloneDX that its models don't have: compositions, and where a component is. */
class ImageSerializer extends Serialize.JsonSerializer {
  readonly #aggregate: Aggregate;
  readonly #packages: ReadonlyMap<string, ListedPackage>;

  constructor(aggregate: Aggregate, packages: ReadonlyMap<string, ListedPackage>) {
    super(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
    this.#aggregate = aggregate;
    this.#packages = packages;
  }

  protected override _normalize(bom: Models.Bom, options?: Serialize.Types.NormalizerOptions): ImageBom {
    const normalized = super._normalize(bom, options);
    const root = normalized.metadata?.component?.['bom-ref'] ?? '';
    return {
      ...normalized,
      components: (normalized.components ?? []).map((component) => ({
        ...component,
        ...this.#evidence(component['bom-ref']),
      })),
      compositions: [{ aggregate: this.#aggregate, assemblies: [root], dependencies: [root] }],
    };
  }

  #evidence(bomRef: string | undefined): object {
    const found = this.#packages.get(bomRef ?? '');
    if (found === undefined) return {};
    const occurrences = found.occurrences.map(({ layer, path }) => ({
      location: `/${path}`,
      additionalContext: `layer ${layer}`,
    }));
    return { evidence: { occurrences } };
  }
}

/** Name-based, as UUID version 5 (RFC 9562): of what the document is about and of what made it, so that one number is one document. */
function serialNumber({ name, digest }: DocumentInput): string {
  const hash = createHash('sha1').update(`${TOOL.name}/${TOOL.version} cyclonedx ${name}@${digest}`).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex', 0, 16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function licensesOf(found: ListedPackage): Models.LicenseRepository {
  const licenses = new Models.LicenseRepository();
  const only = found.licenses.length === 1;
  for (const text of found.licenses) {
    // The schema takes one expression, or any number of licences, and not both.
    const license = only ? licenseFactory.makeFromString(text) : licenseFactory.makeDisjunctive(text);
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

/**
 * A CycloneDX 1.6 document in JSON. Its bytes depend on the input alone.
 *
 * The composition says how far it can be trusted: `incomplete` where something was seen that could not be read; otherwise
 * `incomplete_third_party_only`, since packages are third-party components, and files that belong to no package (the image's own
 * program) are not listed. It is never `complete`.
 */
export function makeDocument(input: DocumentInput): Uint8Array {
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
  const byRef = new Map<string, ListedPackage>();
  for (const found of input.packages) {
    const wanted = found.purl ?? `${found.type}:${found.group ?? ''}/${found.name}@${found.version}`;
    // Package URLs are in lower case where names may not be: two packages can have one.
    let bomRef = wanted;
    for (let count = 2; byRef.has(bomRef); count++) bomRef = `${wanted}#${count}`;
    byRef.set(bomRef, found);
    const component = new Models.Component(Enums.ComponentType.Library, found.name, {
      bomRef,
      version: found.version,
      licenses: licensesOf(found),
      ...(found.group !== undefined && { group: found.group }),
      ...(found.purl !== undefined && { purl: found.purl }),
    });
    bom.components.add(component);
    root.dependencies.add(component.bomRef);
  }
  const serializer = new ImageSerializer(input.gaps.length > 0 ? 'incomplete' : 'incomplete_third_party_only', byRef);
  return new TextEncoder().encode(`${serializer.serialize(bom, { space: 1 })}\n`);
}
