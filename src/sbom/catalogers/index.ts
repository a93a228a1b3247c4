import type { Cataloger } from './cataloger.js';
import { apkCataloger } from './apk.js';
import { dpkgCataloger } from './dpkg.js';
import { npmCataloger } from './npm.js';
import { osReleaseCataloger } from './os-release.js';
import { rpmCataloger } from './rpm.js';

/** All catalogers. A file that several want by its path is read by the first. */
export const CATALOGERS: readonly Cataloger[] = [
  osReleaseCataloger,
  dpkgCataloger,
  apkCataloger,
  rpmCataloger,
  npmCataloger,
];
