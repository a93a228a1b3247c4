import { randomBytes } from 'node:crypto';
import { LayoutWriter } from '../../interop/promotion/images.js';

/** An image that takes a moment: random bytes that nothing compresses well, and one npm package. @returns the digest */
export async function writeHeavyImage(folder: string, name: string, sizeBytes = 12_000_000): Promise<string> {
  const layout = new LayoutWriter(folder);
  const { platform: _platform, ...root } = await layout.image(
    {
      'data/random': randomBytes(Math.floor((sizeBytes * 3) / 4)).toString('base64'),
      'app/node_modules/left-pad/package.json': JSON.stringify({
        name: 'left-pad',
        version: '1.3.0',
        description: name,
      }),
    },
    'amd64',
  );
  return layout.finish(root);
}
