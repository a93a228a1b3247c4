import type { Opened } from '../../operations/operation.js';
import type { OpenedImage } from '../../operations/sbom.js';
import { newRunId } from '../../rows/open-run.js';
import type { Target } from '../connection/target.js';
import { nameOf } from './local-run.js';

/** A target whose images get SBOMs or signatures. */
export function openedImage(opened: Opened & { target: Target }): OpenedImage {
  return { ...opened, name: nameOf(opened), runId: newRunId(Date.now()) };
}
