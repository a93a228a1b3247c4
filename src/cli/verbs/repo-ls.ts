import type { Command } from 'commander';
import { listRepositories } from '../../oras/index.js';
import { addConnectionOptions, addDebugOption, connectionOf } from '../connection/connection.js';
import { textIn, textsIn } from '../output/job-output.js';
import { addFormatOptions, formatResult, resultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { onTerminal } from '../output/status-line.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'repo ls',
  operands: '<registry>[/<namespace>]',
  purpose: 'the target registry to list repositories from',
  count: 1,
  summary: 'List the repositories of a registry',
  aliases: ['list'],
  examples: [
    ['All repositories', 'acr-promoter repo ls localhost:5000'],
    ['Those of a namespace, without its name', 'acr-promoter repo ls localhost:5000/samples'],
    [
      'Their full names, one a line',
      'acr-promoter repo ls localhost:5000/samples --format go-template=\'{{join "\\n" .repositories}}\'',
    ],
  ],
};

/** `registry/namespace`, with or without a slash at its end. */
function parseNamespace(text: string): { registry: string; namespace: string } {
  const [registry = '', ...segments] = text.replace(/\/$/, '').split('/');
  return { registry, namespace: segments.join('/') };
}

/** A repository on a line of its own, without the namespace. */
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
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const format = resultFormat(values);
    const { registry, namespace } = parseNamespace(operandAt(operands, 0));
    const last = textOf(values, 'last');
    const client = await session.client(registry, connectionOf(values, ''));
    const listed = listRepositories(client.registry(registry), {
      namespace,
      signal: io.signal,
      ...(last !== undefined && { last }),
    });
    const repositories: string[] = [];
    for await (const name of listed) {
      if (format.kind !== 'text') repositories.push(name);
      else io.out(line(name, namespace));
    }
    if (format.kind !== 'text') io.out(formatResult(format, { registry, repositories }));
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare(operands, values) {
      const format = resultFormat(values);
      const { namespace } = parseNamespace(operandAt(operands, 0));
      return ({ output }) => {
        const repositories = textsIn(output, 'repositories');
        if (format.kind === 'text') io.out(repositories.map((name) => line(name, namespace)).join(''));
        else io.out(formatResult(format, { registry: textIn(output, 'registry'), repositories }));
      };
    },
  });
}
