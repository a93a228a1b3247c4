import { crc32 } from 'node:zlib';
import { once } from '../../../src/oci/index.js';
import { ChangeWriter } from '../../../src/sbom/layers/changes.js';
import { FileTree } from '../../../src/sbom/layers/file-tree.js';
import { Folder, SymbolicLink } from '../../../src/sbom/layers/tree-nodes.js';
import { cleanPath } from '../../../src/sbom/layers/path.js';
import { readTar } from '../../../src/sbom/layers/tar.js';
import { SBOM_LIMITS } from '../../../src/sbom/limits.js';

/** Bytes of a name in which a lone surrogate stands for a byte that is not UTF-8, in base64. */
export function base64(name: string): string {
  const bytes = Array.from(name, (letter) => {
    const code = letter.codePointAt(0) ?? 0;
    return code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(letter);
  });
  return Buffer.concat(bytes).toString('base64');
}

/** The file system that our tree makes of layers, as the oracle shows it, and why runtimes may unpack something else. */
export async function ourTree(
  layers: readonly Uint8Array[],
): Promise<{ files: Record<string, string>; doubts: string[] }> {
  const doubts: string[] = [];
  const contents: Map<number, string>[] = [];
  const nothing = (): void => {};
  const tree = new FileTree({
    onMemory: nothing,
    onStep: nothing,
    onDoubt: (why, path) => doubts.push(`${why} (${path})`),
  });
  for (const [position, layer] of layers.entries()) {
    const changes = new ChangeWriter();
    const ofLayer = new Map<number, string>();
    let hasOpaque = false;
    await readTar(once(layer), 'it', SBOM_LIMITS, async (entry) => {
      let sum = 0;
      let size = 0;
      for (let bytes = await entry.next(); bytes !== undefined; bytes = await entry.next()) {
        sum = crc32(bytes, sum);
        size += bytes.length;
      }
      const path = cleanPath(entry.name);
      if (path === '') return;
      if (entry.doubt !== undefined) doubts.push(entry.doubt);
      if (entry.sparse) doubts.push('a sparse file');
      if (/(?:^|\/)\.wh\.\.wh\.\.opq$/.test(path)) hasOpaque = true;
      ofLayer.set(changes.add(entry.type, path, entry.linkName), `file ${size} ${sum.toString(16).padStart(8, '0')}`);
    });
    contents.push(ofLayer);
    tree.apply(position, { changes: changes.bytes(), hasOpaque });
  }
  const files: Record<string, string> = {};
  const show = (folder: Folder): void => {
    for (const [name, node] of folder.names) {
      const path = base64(folder.pathOf(name));
      if (node instanceof Folder) {
        files[path] = 'folder';
        show(node);
      } else if (node instanceof SymbolicLink) files[path] = `link ${base64(node.target)}`;
      else if (typeof node === 'number') {
        const { layer, index } = tree.placeOf(node);
        files[path] = contents[layer]?.get(index) ?? 'nowhere';
      } else files[path] = node;
    }
  };
  show(tree.root);
  return { files, doubts };
}
