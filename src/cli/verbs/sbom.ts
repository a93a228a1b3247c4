import type { Command } from 'commander';
import type { VerbContext } from '../verb.js';
import { addPlatformOption, defineAppVerb, platformOf } from './app-verb.js';

/** `sbom` */
export function addSbom(parent: Command, context: VerbContext): void {
  defineAppVerb(
    parent,
    context,
    {
      path: 'sbom',
      operands: '<name>{:<tag>|@<digest>}',
      purpose: 'the image to make SBOMs of',
      count: 1,
      summary: 'Have the app make an SBOM of each image under a reference, attach and sign it',
      examples: [
        [
          'Of one platform',
          'acr-promoter sbom --wait --platform linux/amd64 --app https://myapp.azurewebsites.net myregistry.azurecr.io/samples/app:v1',
        ],
      ],
    },
    addPlatformOption,
    (reference, values) => ({ operation: 'sbom', reference, ...platformOf(values) }),
  );
}
