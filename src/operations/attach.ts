import type { Descriptor } from '../oci/index.js';
import { attachFiles, type PushProgress } from '../oras/index.js';
import type { attach } from './attach.schema.js';
import { described, resolveRoot, type Opened, type Operation } from './operation.js';
import { packingOf, type Packed, type PackingFiles } from './packing.js';

/**
 * The subject of an attachment. The caller holds the subject's lease, so that only one writer changes its referrers.
 */
export interface OpenedSubject extends Opened {
  whileHeld?: <T>(subject: Descriptor, work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
}

/** Attaches files to a manifest, as a referrer of it. */
export const run: Operation<typeof attach, PackingFiles, PushProgress, Packed, OpenedSubject> = async (
  opened,
  input,
  files,
  { signal, text, event },
) => {
  const { repository, whileHeld = (_subject, work) => work(signal) } = opened;
  const subject = await resolveRoot(opened, input, signal);
  const { descriptor, manifest } = await whileHeld(subject, (held) =>
    attachFiles({ repository, files: files.source }, subject, {
      ...packingOf(input, files),
      artifactType: input.artifactType,
      signal: held,
      onProgress: event,
    }),
  );
  text?.(`attached ${descriptor.digest} to ${subject.digest}`);
  const output = { ...described(repository.name, descriptor), subject: described(repository.name, subject) };
  return { output, digest: descriptor.digest, manifest };
};
