import { createHash } from 'node:crypto';
import type { Distro } from '../catalogers/cataloger.js';
import type { GapCount } from '../gaps.js';
import type { ImageConfig } from '../image-config.js';
import { TOOL_VERSION, type SbomFormat } from '../tool.js';
import { makePurl, type Component } from './components.js';
import type { Licences } from './licences.js';

/** The content of a document, in any format. */
export interface DocumentInput {
  /** `registry/repository` */
  name: string;
  digest: string;
  config: ImageConfig;
  distro?: Distro;
  components: readonly Component[];
  licences: Licences;
  gaps: readonly GapCount[];
  /** Names of the package catalogers that ran: `dpkg`, `npm`. */
  covered: readonly string[];
}

/**
 * A name-based UUID, version 5 (RFC 9562), from the image and the tool's version, so that one number always means the
 * same document.
 */
export function documentId({ name, digest }: DocumentInput, format: SbomFormat): string {
  const hash = createHash('sha1').update(`${TOOL_VERSION} ${format} ${name}@${digest}`).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex', 0, 16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The package URL of the image. */
export function imagePurl({ name, digest, config }: DocumentInput): string | undefined {
  const repository = name.slice(name.lastIndexOf('/') + 1);
  return makePurl('oci', undefined, repository, digest, {
    repository_url: name,
    ...(config.architecture !== undefined && { arch: config.architecture }),
  });
}

/**
 * `complete` only if everything that was seen could be read and belongs to a listed package.
 * @see https://cyclonedx.org/docs/1.6/json/#compositions_items_aggregate
 */
export function aggregateOf({ gaps }: DocumentInput): string {
  return gaps.length > 0 ? 'incomplete' : 'complete';
}

/**
 * What the document covers and what it lacks: CycloneDX has these as properties, SPDX as annotations. A gap has its
 * number, and its first examples with their paths.
 */
export function propertiesOf({ covered, gaps }: DocumentInput): { name: string; value: string }[] {
  return [
    ...covered.map((value) => ({ name: 'acr-promoter:covered', value })),
    ...gaps.flatMap(({ cause, count, examples }) => [
      { name: `acr-promoter:gap:${cause}`, value: `${count}` },
      ...examples.map((value) => ({ name: `acr-promoter:gap:${cause}:example`, value })),
    ]),
  ];
}

/**
 * The version with the epoch, as `rpm -q` and `dpkg-query` print it. In a package URL, the epoch of an rpm is a
 * qualifier.
 */
export function versionOf({ type, version, qualifiers }: Component): string {
  const epoch = qualifiers?.epoch;
  return type !== 'rpm' || epoch === undefined || epoch === '0' ? version : `${epoch}:${version}`;
}

/** Maximum characters of a supplier's name. */
const LONGEST_SUPPLIER = 200;
/** Names of teams and companies. A supplier with an e-mail address is a person otherwise. */
const ORGANIZATION =
  /\b(?:team|group|maintainers|developers|packagers|project|foundation|inc|ltd|llc|gmbh|corp|corporation|company|microsoft|canonical|red hat|suse|fedora|debian|ubuntu)\b/i;

/** A supplier as declared: `Debian OpenSSL Team <pkg-openssl@example.org>`. Undefined if the text names none. */
export function supplierOf(declared = ''): { name: string; email?: string; isPerson: boolean } | undefined {
  // Cut to a maximum length before a regular expression reads it.
  const text = declared
    .slice(0, 2 * LONGEST_SUPPLIER)
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  const at = text.indexOf('<');
  const email = /^<([\w.+%-]{1,64}@[A-Za-z0-9.-]{1,190})>/.exec(at < 0 ? '' : text.slice(at))?.[1];
  const name = (at < 0 ? text : text.slice(0, at))
    .replaceAll(/[()<>"]/g, ' ')
    .replaceAll(/ +/g, ' ')
    .trim()
    .slice(0, LONGEST_SUPPLIER);
  if (name === '') return undefined;
  return { name, ...(email !== undefined && { email }), isPerson: email !== undefined && !ORGANIZATION.test(name) };
}
