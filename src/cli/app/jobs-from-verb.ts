import { InputError, parseReference } from '../../oci/index.js';
import { parseAnnotationFlags, withoutOwnName } from '../../oras/index.js';
import { checkBlobInput, parseBlobTarget, sizeOf } from '../connection/blob-target.js';
import { parseConcurrency, parseCount } from '../option-values.js';
import type { Io } from '../io.js';
import { listOf } from '../repeated.js';
import { nameOf as repositoryOf, parseTarget } from '../connection/target.js';
import { trustedSignature } from '../verbs/trust-store.js';
import { operandAt, textOf, writtenOf, type Values } from '../verb.js';
import { contentOf, nameOf, PACKING, packing } from './jobs-files.js';

type Job = Record<string, unknown> & { operation: string };

/** A verb as a job: the options that the job has a field for, and how it is made. Any other option is refused. */
interface JobVerb {
  takes: readonly string[];
  make(operands: readonly string[], values: Values, io: Io): Promise<Job> | Job;
}

/** `name:t1,t2`: the reference with the first tag, and the others. */
function severalTags(text: string): { reference: string; tags?: string[] } {
  const { tags } = parseTarget(text, { isLayout: false, severalTags: true });
  const [, ...others] = tags;
  const [reference = ''] = text.split(',', 1);
  return { reference, ...(others.length > 0 && { tags: others }) };
}

/** Tags and digests of the repository that a reference names: they may be written with its name, and are without it in a job. */
function ownNames(reference: string, texts: readonly string[]): string[] {
  const name = repositoryOf(parseTarget(reference, { isLayout: false, severalTags: true }));
  return texts.map((text) => withoutOwnName({ name }, text));
}

/** Of several values, those that were given. */
function given(values: Values, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])));
}

function concurrencyOf(values: Values): Record<string, number> {
  const concurrency = parseConcurrency(values.concurrency, 0);
  return concurrency === 0 ? {} : { concurrency };
}

/** @throws InputError `OPTION_NOT_IN_JOB` where a tag or digest is named: its other tags are not a job's to find */
function repositoryAlone(text: string): string {
  const { tag, digest } = parseReference(text);
  if (tag === undefined && digest === undefined) return text;
  throw new InputError('OPTION_NOT_IN_JOB', 'a job lists the tags of a repository, and not those of one manifest', {
    remedy: 'Name the repository alone, or leave --submit out.',
  });
}

function looks(operation: string, ...names: string[]): JobVerb {
  return {
    takes: names,
    make: ([reference], values) => ({ operation, reference, ...given(values, ...names) }),
  };
}

const VERBS: Readonly<Record<string, JobVerb>> = {
  resolve: looks('resolve', 'platform'),
  'manifest fetch': looks('manifest.fetch', 'platform', 'descriptor'),
  'manifest fetch-config': looks('manifest.fetchConfig', 'platform', 'descriptor'),
  'repo tags': {
    takes: ['last', 'excludeDigestTags'],
    make: ([name = ''], values) => ({
      operation: 'tags',
      reference: repositoryAlone(name),
      ...given(values, 'last', 'excludeDigestTags'),
    }),
  },
  'repo ls': {
    takes: ['last'],
    make: ([name = ''], values) => {
      const slash = name.indexOf('/');
      const registry = slash < 0 ? name : name.slice(0, slash);
      return {
        operation: 'repos',
        registry,
        ...(slash >= 0 && { namespace: name.slice(slash + 1) }),
        ...given(values, 'last'),
      };
    },
  },
  discover: {
    takes: ['artifactType', 'depth', 'distributionSpec', 'format', 'platform'],
    make: ([reference], values) => ({
      operation: 'discover',
      reference,
      format: textOf(values, 'format') ?? 'tree',
      ...given(values, 'artifactType', 'distributionSpec', 'platform'),
      ...(values.depth !== undefined && { depth: parseCount(writtenOf(values, 'depth') ?? '', '--depth', 1) }),
    }),
  },
  copy: {
    takes: ['recursive', 'platform', 'excludeArtifactType'],
    make: ([source, destination = ''], values) => {
      const { reference, tags } = severalTags(destination);
      const { tag, digest } = parseReference(reference);
      // Without a tag here there is none there; a job that says nothing of tags takes the source's.
      const told = tag === undefined && digest === undefined ? [] : tags;
      const excluded = listOf(values.excludeArtifactType);
      return {
        operation: 'copy',
        source,
        destination: reference,
        ...(told !== undefined && { tags: told }),
        recursive: values.recursive === true,
        ...given(values, 'platform'),
        ...(excluded.length > 0 && { excludeArtifactTypes: excluded }),
      };
    },
  },
  tag: {
    takes: ['concurrency'],
    make: ([reference = '', ...tags], values) => ({
      operation: 'tag',
      reference,
      tags: ownNames(reference, tags),
      ...concurrencyOf(values),
    }),
  },
  push: {
    takes: [...PACKING, 'artifactPlatform', 'imageSpec'],
    make: async ([name = '', ...files], values, io) => ({
      operation: 'push',
      ...severalTags(name),
      ...given(values, 'artifactType', 'artifactPlatform', 'imageSpec'),
      ...(await packing(files, values, io)),
      ...concurrencyOf(values),
    }),
  },
  attach: {
    takes: [...PACKING, 'distributionSpec', 'platform'],
    make: async ([reference, ...files], values, io) => ({
      operation: 'attach',
      reference,
      ...given(values, 'artifactType', 'distributionSpec', 'platform'),
      ...(await packing(files, values, io)),
      ...concurrencyOf(values),
    }),
  },
  pull: {
    takes: ['output', 'keepOldFiles', 'includeSubject', 'concurrency', 'platform'],
    make: ([reference], values) => {
      const output = nameOf(textOf(values, 'output') ?? '.');
      return {
        operation: 'pull',
        reference,
        ...(output !== '.' && { output }),
        ...given(values, 'keepOldFiles', 'includeSubject', 'platform'),
        ...concurrencyOf(values),
      };
    },
  },
  'manifest push': {
    takes: ['distributionSpec', 'mediaType'],
    make: async (operands, values, io) => ({
      operation: 'manifest.push',
      ...severalTags(operandAt(operands, 0)),
      file: await contentOf(operandAt(operands, 1), io),
      ...given(values, 'distributionSpec', 'mediaType'),
    }),
  },
  'manifest delete': {
    takes: ['force', 'distributionSpec'],
    make: ([reference], values) => ({
      operation: 'manifest.delete',
      reference,
      ...given(values, 'distributionSpec'),
    }),
  },
  'manifest index create': {
    takes: ['annotation', 'artifactType', 'distributionSpec'],
    make: ([name = '', ...manifests], values) => {
      const annotations = listOf(values.annotation);
      return {
        operation: 'manifest.index.create',
        ...severalTags(name),
        manifests: ownNames(name, manifests),
        ...(annotations.length > 0 && { annotations: parseAnnotationFlags(annotations) }),
        ...given(values, 'artifactType', 'distributionSpec'),
      };
    },
  },
  'manifest index update': {
    takes: ['add', 'merge', 'remove', 'tag', 'artifactType', 'distributionSpec'],
    make: ([reference = ''], values) => {
      const named = Object.entries({ add: values.add, merge: values.merge, tags: values.tag }).flatMap(
        ([field, texts]) => {
          const names = ownNames(reference, listOf(texts));
          return names.length === 0 ? [] : [[field, names] as const];
        },
      );
      return {
        operation: 'manifest.index.update',
        reference,
        ...given(values, 'remove', 'artifactType', 'distributionSpec'),
        ...Object.fromEntries(named),
      };
    },
  },
  'blob fetch': {
    takes: ['output'],
    make: ([reference], values) => {
      const output = textOf(values, 'output') ?? '-';
      return { operation: 'blob.fetch', reference, ...(output !== '-' && { output: nameOf(output) }) };
    },
  },
  'blob push': {
    takes: ['mediaType', 'size'],
    make: async ([name = '', path = ''], values, io) => {
      checkBlobInput(path, values, parseBlobTarget(name, values).digest);
      const sizeBytes = sizeOf(values);
      return {
        operation: 'blob.push',
        reference: name,
        ...(sizeBytes !== undefined && { size: sizeBytes }),
        file: { ...(await contentOf(path, io)), ...given(values, 'mediaType') },
      };
    },
  },
  promote: { takes: [], make: ([source]) => ({ operation: 'promote', source }) },
  sbom: looks('sbom', 'distributionSpec', 'platform'),
  sign: {
    takes: ['recursive', 'distributionSpec', 'platform'],
    make: ([reference], values) => ({
      operation: 'sign',
      reference,
      recursive: values.recursive === true,
      ...given(values, 'distributionSpec', 'platform'),
    }),
  },
  verify: {
    takes: ['trustStore', 'identity', 'distributionSpec', 'platform'],
    make: async ([reference], values) => {
      const signature = await trustedSignature(values);
      if (signature === undefined) {
        throw new InputError(
          'OPTION_REQUIRED',
          'required flag(s) "trust-store" not set: the app trusts what a job brings',
        );
      }
      return {
        operation: 'verify',
        reference,
        ...given(values, 'distributionSpec', 'platform'),
        signatures: [signature],
      };
    },
  },
  'blob delete': { takes: ['force'], make: ([reference]) => ({ operation: 'blob.delete', reference }) },
};

/** Whether a verb's job has a field for an option. @param path of the verb, as it is written on the command line */
export function takesOption(path: string, name: string): boolean {
  return VERBS[path]?.takes.includes(name) === true;
}

/**
 * The job that does what a command says.
 * @param asked the options that were written on the command line; one that the job has no field for is refused
 * @throws InputError `OPTION_NOT_IN_JOB`, `NOT_A_FILE`, `FILE_TOO_LARGE`, `FILE_NOT_FOUND`
 */
export async function jobOfVerb(
  path: string,
  { operands, values, asked, io }: { operands: readonly string[]; values: Values; asked: readonly string[]; io: Io },
): Promise<Job> {
  const verb = VERBS[path];
  const unknown = asked.filter((name) => verb?.takes.includes(name) !== true);
  if (verb === undefined || unknown.length > 0) {
    throw new InputError(
      'OPTION_NOT_IN_JOB',
      `${unknown.map((name) => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`).join(', ')} cannot be handed to the app`,
      { remedy: 'Leave it out: the app signs in by itself, and writes no files here; or leave --submit out.' },
    );
  }
  // Skip options that still have their default value.
  const wished = Object.fromEntries(Object.entries(values).filter(([name]) => asked.includes(name)));
  return verb.make(operands, wished, io);
}
