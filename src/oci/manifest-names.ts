import { isRecord } from './descriptor.js';
import { refuseFoldedNames } from './strict-json.js';

/**
 * Names of fields in manifests, descriptors and platforms that Go's structs of the specification and of Docker read.
 */
const MANIFEST = new Set([
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'manifests',
  'blobs',
  'fsLayers',
  'subject',
  'annotations',
]);
const DESCRIPTOR = new Set(['mediaType', 'artifactType', 'digest', 'size', 'urls', 'annotations', 'data', 'platform']);
const PLATFORM = new Set(['architecture', 'os', 'os.version', 'os.features', 'variant', 'features']);
/** In a config, only the fields that decide what is unpacked: an artifact's config may have any other names. */
const CONFIG = new Set(['rootfs']);
const ROOTFS = new Set(['diff_ids']);

function refuseInDescriptor(value: unknown, where: string): void {
  if (!isRecord(value)) return;
  refuseFoldedNames(value, DESCRIPTOR, where);
  refuseFoldedNames(value.platform, PLATFORM, `${where} platform`);
}

/**
 * Refuses a manifest in which Go reads a field that we read under another name.
 * @throws InputError `MANIFEST_AMBIGUOUS`
 */
export function refuseFoldedInManifest(json: Record<string, unknown>, where: string): void {
  refuseFoldedNames(json, MANIFEST, where);
  for (const name of ['config', 'subject']) refuseInDescriptor(json[name], `${where} ${name}`);
  for (const name of ['layers', 'manifests', 'blobs']) {
    const list = json[name];
    if (!Array.isArray(list)) continue;
    for (const [index, entry] of list.entries()) refuseInDescriptor(entry, `${where} ${name}[${index}]`);
  }
}

/**
 * Like {@link refuseFoldedInManifest}, for the part of a config that lists layers.
 * @throws InputError `MANIFEST_AMBIGUOUS`
 */
export function refuseFoldedInConfig(json: Record<string, unknown>, where: string): void {
  refuseFoldedNames(json, CONFIG, where);
  refuseFoldedNames(json.rootfs, ROOTFS, `${where} rootfs`);
}
