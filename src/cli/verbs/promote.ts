import type { Command } from 'commander';
import type { VerbContext } from '../verb.js';
import { defineAppVerb } from './app-verb.js';

/** `promote` */
export function addPromote(parent: Command, context: VerbContext): void {
  defineAppVerb(
    parent,
    context,
    {
      path: 'promote',
      operands: '<name>:<tag>',
      purpose: 'the image to promote',
      count: 1,
      summary: 'Have the app promote a tag as its rules say',
      examples: [
        [
          'And wait for what comes of it',
          'acr-promoter promote --wait --app https://myapp.azurewebsites.net myregistry.azurecr.io/samples/app:v1',
        ],
      ],
    },
    () => undefined,
    (source) => ({ operation: 'promote', source }),
  );
}
