import type { Command } from 'commander';
import { listRepositories } from '../../oras/index.js';
import { addConnectionOptions, addDebugOption, connectionOf } from '../connection.js';
import { addFormatOptions, formatResult, resultFormat } from '../result.js';
import { onTerminal } from '../status-line.js';
import { defineVerb, operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';

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

export function addRepoLs(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('--last <repository>', 'start after this repository, in the registry’s order');
    addFormatOptions(command);
    addDebugOption(addConnectionOptions(command, ''));
  };
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const format = resultFormat(values);
    const text = operandAt(operands, 0).replace(/\/$/, '');
    const slash = text.indexOf('/');
    const [registry, namespace] = slash < 0 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)];
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
      else io.out(`${onTerminal(namespace === '' ? name : name.slice(namespace.length + 1))}\n`);
    }
    if (format.kind !== 'text') io.out(formatResult(format, { registry, repositories }));
  });
}
