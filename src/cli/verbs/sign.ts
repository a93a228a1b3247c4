import type { Command } from 'commander';
import type { VerbContext } from '../verb.js';
import { addPlatformOption, defineAppVerb, platformOf } from './app-verb.js';

/** `sign` */
export function addSign(parent: Command, context: VerbContext): void {
  defineAppVerb(
    parent,
    context,
    {
      path: 'sign',
      operands: '<name>{:<tag>|@<digest>}',
      purpose: 'the artifact to sign',
      count: 1,
      summary: 'Have the app sign a manifest with its key',
      examples: [
        [
          'An index and its images',
          'acr-promoter sign -r --wait --app https://myapp.azurewebsites.net myregistry.azurecr.io/samples/app:v1',
        ],
      ],
    },
    (command) => {
      command.option('-r, --recursive', 'the manifests of an index too');
      addPlatformOption(command);
    },
    (reference, values) => ({
      operation: 'sign',
      reference,
      recursive: values.recursive === true,
      ...platformOf(values),
    }),
  );
}
