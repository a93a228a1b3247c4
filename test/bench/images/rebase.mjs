// Puts the layers of the image in layout BASE below those of the image in layout TOP. Usage: rebase.mjs TOP BASE
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';

const [top, base] = process.argv.slice(2);
const fileOf = (layout, digest) => `${layout}/blobs/sha256/${digest.split(':')[1]}`;
const read = (layout, digest) => JSON.parse(readFileSync(fileOf(layout, digest), 'utf8'));
const open = (layout) => {
  const index = JSON.parse(readFileSync(`${layout}/index.json`, 'utf8'));
  const manifest = read(layout, index.manifests[0].digest);
  return { index, manifest, config: read(layout, manifest.config.digest) };
};
const write = (value) => {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  writeFileSync(fileOf(top, digest), bytes);
  return { digest, size: bytes.length };
};
const [upper, lower] = [open(top), open(base)];
for (const { digest } of lower.manifest.layers) copyFileSync(fileOf(base, digest), fileOf(top, digest));
const diffIds = [...lower.config.rootfs.diff_ids, ...upper.config.rootfs.diff_ids];
const config = write({ ...upper.config, rootfs: { type: 'layers', diff_ids: diffIds } });
const layers = [...lower.manifest.layers, ...upper.manifest.layers];
const manifest = write({ ...upper.manifest, config: { ...upper.manifest.config, ...config }, layers });
upper.index.manifests[0] = { ...upper.index.manifests[0], ...manifest };
writeFileSync(`${top}/index.json`, JSON.stringify(upper.index));
