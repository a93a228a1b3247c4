import { pullFiles, type FileSink, type Pulled, type PullOptions, type PullProgress } from '../oras/index.js';
import { described, resolveRoot, type Operation } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { pull } from './pull.schema.js';

/** Where pulled files are written. */
export interface PullFiles extends Pick<PullOptions, 'config' | 'unpackLimitBytes'> {
  /**
   * Pulls into a sink.
   * @returns fields of the output in addition to the layers, and how a layer's path is shown
   */
  into: (
    input: Pick<InputOf<typeof pull>, 'output' | 'keepOldFiles'>,
    work: (sink: FileSink) => Promise<Pulled>,
  ) => Promise<{ pulled: Pulled; place: (path: string) => Record<string, unknown>; kept?: Record<string, unknown> }>;
}

/** Pulls all files of an artifact, or none if one fails. */
export const run: Operation<typeof pull, PullFiles, PullProgress> = async (
  opened,
  input,
  { into, ...limits },
  { signal, event },
) => {
  const { repository } = opened;
  const root = await resolveRoot(opened, input, signal);
  const { includeSubject, concurrency } = input;
  const { pulled, place, kept } = await into(input, (files) =>
    pullFiles({ repository, files }, root, { ...limits, signal, includeSubject, concurrency, onProgress: event }),
  );
  const layers = pulled.files.map(({ path, descriptor }) => ({
    ...place(path),
    ...described(repository.name, descriptor),
  }));
  return {
    output: { ...described(repository.name, pulled.root), ...kept, layers, skipped: pulled.skipped },
    digest: pulled.root.digest,
  };
};
