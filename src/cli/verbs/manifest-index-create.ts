import type { Command } from 'commander';
import { isDigest } from '../../oci/index.js';
import { createIndex, parseAnnotationFlags } from '../../oras/index.js';
import { connectionOf } from '../connection/connection.js';
import { addIndexOptions, indexPrinter, packedLine, printIndex } from './index-output.js';
import { collect, listOf } from '../repeated.js';
import { readTarget } from '../connection/layout-options.js';
import type { Session } from '../connection/session.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'manifest index create',
  operands: '<target>[:<tag>[,<tag>][...]] <source>{<tag>|<digest>} [...]',
  purpose: 'the destination index to create',
  count: 1,
  orMore: true,
  summary: 'Make an index of manifests of one repository, and push it',
  aliases: ['pack'],
  examples: [
    ['Of two platforms', 'acr-promoter manifest index create localhost:5000/hello:v1 linux-amd64 linux-arm64'],
    ['Under several tags', 'acr-promoter manifest index create localhost:5000/hello:v1,latest linux-amd64 linux-arm64'],
    [
      'With an annotation',
      'acr-promoter manifest index create localhost:5000/hello:v1 linux-amd64 --annotation key=val',
    ],
    [
      'Print it, and push nothing',
      'acr-promoter manifest index create localhost:5000/hello linux-arm64 --output - --pretty',
    ],
  ],
};

export function addManifestIndexCreate(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('-a, --annotation <key=value>', 'annotation of the index; repeatable', collect);
    addIndexOptions(command);
  };
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const annotations = parseAnnotationFlags(listOf(values.annotation));
    const artifactType = textOf(values, 'artifactType');
    const target = readTarget(operandAt(operands, 0), values, { severalTags: true });
    const { tagOrDigest, tags } = target;
    const { repository } = await session.open(target, connectionOf(values, ''), {
      create: true,
      write: textOf(values, 'output') === undefined,
    });
    await printIndex(io, { values, target, madeLine: packedLine }, (options) =>
      createIndex(repository, operands.slice(1), {
        ...options,
        tags,
        signal: io.signal,
        annotations,
        ...(tagOrDigest !== undefined && isDigest(tagOrDigest) && { digest: tagOrDigest }),
        ...(artifactType !== undefined && { artifactType }),
      }),
    );
  };
  defineVerb(
    parent,
    context,
    VERB,
    addOptions,
    work,
    indexPrinter(
      io,
      (operands, values) => readTarget(operandAt(operands, 0), values, { severalTags: true }),
      packedLine,
    ),
  );
}
