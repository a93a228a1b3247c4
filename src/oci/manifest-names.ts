import { isRecord } from './descriptor.js';
import { refuseFoldedNames } from './strict-json.js';

/** What Go's structs of the specification and of Docker read, level by level. */
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
/** Of a config only what decides what is unpacked: an artifact's config may have any other names. */
const CONFIG = new Set(['rootfs']);
const ROOTFS = new Set(['diff_ids']);

function refuseInDescriptor(value: unknown, where: string): void {
  if (!isRecord(value)) return;
  refuseFoldedNames(value, DESCRIPTOR, where);
  refuseFoldedNames(value.platform, PLATFORM, `${where} platform`);
}

/** @throws InputError `MANIFEST_AMBIGUOUS` for a manifest in which Go reads a field under another name than ours */
export function refuseFoldedInManifest(json: Record<string, unknown>, where: string): void {
  refuseFoldedNames(json, MANIFEST, where);
  for (const name of ['config', 'subject']) refuseInDescriptor(json[name], `${where} ${name}`);
  for (const name of ['layers', 'manifests', 'blobs']) {
    const list = json[name];
    if (!Array.isArray(list)) continue;
    for (const [index, entry] of list.entries()) refuseInDescriptor(entry, `${where} ${name}[${index}]`);
  }
}

/** The same for what lists an image's layers in its config. @throws InputError `MANIFEST_AMBIGUOUS` */
export function refuseFoldedInConfig(json: Record<string, unknown>, where: string): void {
  refuseFoldedNames(json, CONFIG, where);
  refuseFoldedNames(json.rootfs, ROOTFS, `${where} rootfs`);
}
