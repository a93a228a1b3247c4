import type { Command } from 'commander';
import { run } from '../../operations/repos.js';
import { addConnectionOptions, addDebugOption, connectionOf } from '../connection/connection.js';
import { defineOperation } from '../operation-verb.js';
import { textsOf } from '../option-values.js';
import { textIn, textsIn } from '../output/read-job-output.js';
import { addFormatOptions, formatResult } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'repo ls',
  operands: '<registry>[/<namespace>]',
  purpose: 'the target registry to list repositories from',
  count: 1,
  summary: 'List the repositories of a registry',
  aliases: ['list'],
  examples: [
    ['All repositories', 'acr-promoter repo ls localhost:5000'],
    [
      'Repositories of a namespace; the namespace is left out of the names',
      'acr-promoter repo ls localhost:5000/samples',
    ],
    [
      'Full names, one a line',
      'acr-promoter repo ls localhost:5000/samples --format go-template=\'{{join "\\n" .repositories}}\'',
    ],
  ],
};

/** Parses `registry/namespace`, with or without a slash at the end. */
function parseNamespace(text: string): { registry: string; namespace: string } {
  const [registry = '', ...segments] = text.replace(/\/$/, '').split('/');
  return { registry, namespace: segments.join('/') };
}

/** The line of a repository, without the namespace. */
function line(name: string, namespace: string): string {
  return `${onTerminal(namespace === '' ? name : name.slice(namespace.length + 1))}\n`;
}

export function addRepoLs(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('--last <repository>', 'start after this repository, in the registry’s order');
    addFormatOptions(command);
    addDebugOption(addConnectionOptions(command, ''));
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'repos',
    takes: ['last'],
    shows: ['format', 'template'],
    input(operands, values) {
      const { registry, namespace } = parseNamespace(operandAt(operands, 0));
      return { registry, ...(namespace !== '' && { namespace }), ...textsOf(values, 'last') };
    },
    async run(session, input, { values, format }) {
      const client = await session.client(input.registry, connectionOf(values, ''));
      const event = (name: string): void => {
        if (format.kind === 'text') io.out(line(name, input.namespace ?? ''));
      };
      return run({ registry: client.registry(input.registry) }, input, undefined, { signal: io.signal, event });
    },
    print({ output, job }, { operands, format }) {
      const { namespace } = parseNamespace(operandAt(operands, 0));
      const repositories = textsIn(output, 'repositories');
      if (format.kind !== 'text') io.out(formatResult(format, { registry: textIn(output, 'registry'), repositories }));
      else if (job !== undefined) io.out(repositories.map((name) => line(name, namespace)).join(''));
    },
  });
}
