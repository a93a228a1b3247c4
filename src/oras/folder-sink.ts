import { mkdtemp, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { InputError, makeFolder } from '../oci/index.js';
import type { FileSink, StagedFiles } from './file-sink.js';
import { stageFolder } from './staged-folder.js';
import { isWithin } from './file-system.js';

export interface FolderSinkOptions {
  /** Accepts names outside of the folder. Default: false. */
  allowOutside?: boolean;
  /** Refuses to replace existing files. */
  keepOldFiles?: boolean;
  /** Called with the folder that stages the files of a pull, when it is made. Its result is called before the folder is removed. */
  onStage?: (path: string) => Promise<() => void>;
}

/** Makes a folder. @returns a function that removes the folders that were made, if they are empty */
async function makeRemovable(path: string): Promise<() => Promise<void>> {
  const first = await makeFolder(path);
  return async () => {
    if (first === undefined) return;
    for (let at = path; isWithin(first, at); at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        // The folder has other content now and stays.
        return;
      }
    }
  };
}

/** Writes files into a folder on disk, which is made if it does not exist. */
export function createFolderSink(folder: string, options: FolderSinkOptions = {}): FileSink {
  const root = resolve(folder);
  const locate = (name: string): string => {
    const path = resolve(root, name);
    if (name.includes('\0')) throw new InputError('PATH_OUTSIDE', `${JSON.stringify(name)} is not a file name`);
    if (options.allowOutside === true || isWithin(root, path)) return path;
    throw new InputError('PATH_OUTSIDE', `${JSON.stringify(name)} leads out of ${root}: path traversal disallowed`, {
      remedy:
        'Pulling files outside of working directory is insecure and blocked by default. If you trust the content producer, use --allow-path-traversal to bypass this check.',
    });
  };
  return {
    locate,
    async begin(): Promise<StagedFiles> {
      const unmake = await makeRemovable(root);
      // On the same file system, so that a file is moved to its name atomically.
      const stage = await mkdtemp(join(root, '.pull-'));
      let release: (() => void) | undefined;
      const cleanUp = async (): Promise<void> => {
        release?.();
        await rm(stage, { recursive: true, force: true });
        await unmake();
      };
      try {
        release = await options.onStage?.(stage);
      } catch (error) {
        await cleanUp();
        throw error;
      }
      return stageFolder({ root, stage, locate, ...options }, cleanUp);
    },
  };
}
