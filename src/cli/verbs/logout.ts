import type { Command } from 'commander';
import { eraseDockerCredential } from '../../oci/index.js';
import { addDebugOption } from '../connection/connection.js';
import { dockerConfigOptions } from '../connection/docker-config.js';
import { collect } from '../repeated.js';
import { defineVerb, operandAt, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'logout',
  operands: '<registry>',
  purpose: 'the registry you want to log out',
  count: 1,
  summary: "Remove a registry's stored credential, if any",
  examples: [
    ['In the usual Docker config', 'acr-promoter logout localhost:5000'],
    ['In another Docker config', 'acr-promoter logout --registry-config auth.json localhost:5000'],
  ],
};

export function addLogout(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    addDebugOption(command).option(
      '--registry-config <path>',
      'Docker config with the credential; if repeated, only the first one is used',
      collect,
    );
  };
  defineVerb(parent, context, VERB, addOptions, async (_session, operands, values) => {
    await eraseDockerCredential(operandAt(operands, 0), dockerConfigOptions(values, context.io));
  });
}
