import type { Cataloger } from './cataloger.js';
import { dpkgCataloger } from './dpkg.js';
import { npmCataloger } from './npm.js';
import { osReleaseCataloger } from './os-release.js';

/** All catalogers. A file that several want by its path is read by the first. */
export const CATALOGERS: readonly Cataloger[] = [osReleaseCataloger, dpkgCataloger, npmCataloger];
