import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { updateIndex } from '../../oras/index.js';
import { addIndexOptions, indexPrinter, printIndex, updatedLine } from './index-output.js';
import { collect, listOf } from '../repeated.js';
import { openNamed, readNamed } from '../connection/named-target.js';
import type { Session } from '../connection/session.js';
import type { Target } from '../connection/target.js';
import {
  defineVerb,
  operandAt,
  textOf,
  writtenOf,
  type Values,
  type VerbContext,
  type VerbDescription,
} from '../verb.js';

const VERB: VerbDescription = {
  path: 'manifest index update',
  operands: '<index>{:<tag>|@<digest>} [{--add|--merge|--remove} <manifest>{<tag>|<digest>}] [...]',
  purpose: 'the target index to update',
  count: 1,
  summary: 'Put manifests into an index, take others out, and push what comes of it',
  examples: [
    [
      'One out, one in; the tag leads to the new index then',
      'acr-promoter manifest index update localhost:5000/hello:v1 --add linux-arm64 --remove sha256:99e4…',
    ],
    ['All of another index', 'acr-promoter manifest index update localhost:5000/hello:v2 --merge v2-windows'],
    [
      'Under new tags',
      'acr-promoter manifest index update localhost:5000/hello@sha256:99e4… --add linux-amd64 --tag v2.1.0 --tag v2',
    ],
    ['Without its artifact type', 'acr-promoter manifest index update localhost:5000/hello:v1 --artifact-type ""'],
  ],
};

export function addManifestIndexUpdate(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--add <manifest>', 'tag or digest of a manifest to be put in; repeatable', collect)
      .option('--merge <index>', 'tag or digest of an index whose manifests are put in; repeatable', collect)
      .option('--remove <digest>', 'manifest to be taken out; repeatable', collect)
      .option('--tag <tag>', 'another tag for what comes of it; repeatable', collect);
    addIndexOptions(command);
  };
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const [add, merge, remove, extra] = [values.add, values.merge, values.remove, values.tag].map(listOf);
    const artifactType = writtenOf(values, 'artifactType');
    if (values.output !== undefined && values.tag !== undefined) {
      throw new InputError('OPTIONS_EXCLUSIVE', '--tag, --output cannot be used at the same time');
    }
    if (
      values.add === undefined &&
      values.merge === undefined &&
      values.remove === undefined &&
      artifactType === undefined
    ) {
      io.out('Nothing to update as no change is requested\n');
      return;
    }
    const { repository, target, tagOrDigest } = await openNamed(session, VERB, operandAt(operands, 0), values, {
      write: textOf(values, 'output') === undefined,
    });
    await printIndex(io, { values, target, madeLine: updatedLine }, (options) =>
      updateIndex(repository, tagOrDigest, {
        ...options,
        tags: target.tags,
        signal: io.signal,
        ...(extra && { extraTags: extra }),
        ...(add && { add }),
        ...(merge && { merge }),
        ...(remove && { remove }),
        ...(artifactType !== undefined && { artifactType }),
      }),
    );
  };
  const readTarget = (operands: readonly string[], values: Values): Target =>
    readNamed(VERB, operandAt(operands, 0), values).target;
  defineVerb(parent, context, VERB, addOptions, work, indexPrinter(io, readTarget, updatedLine));
}
