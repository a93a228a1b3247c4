import { apkCataloger } from './apk.js';
import { binariesCataloger } from './binaries.js';
import type { Cataloger } from './cataloger.js';
import { dotnetSdkCataloger } from './dotnet-sdk.js';
import { dotnetCataloger } from './dotnet.js';
import { dpkgCataloger } from './dpkg.js';
import { javaCataloger } from './java.js';
import { javascriptCataloger } from './javascript.js';
import { jdkCataloger } from './jdk.js';
import { npmCataloger } from './npm.js';
import { osReleaseCataloger } from './os-release.js';
import { phpCataloger } from './php.js';
import { pythonCataloger } from './python.js';
import { rpmCataloger } from './rpm.js';
import { rubyCataloger } from './ruby.js';

/** All catalogers. A file that several want by its path is read by the first. */
export const CATALOGERS: readonly Cataloger[] = [
  osReleaseCataloger,
  dpkgCataloger,
  apkCataloger,
  rpmCataloger,
  npmCataloger,
  javascriptCataloger,
  pythonCataloger,
  javaCataloger,
  dotnetCataloger,
  dotnetSdkCataloger,
  rubyCataloger,
  phpCataloger,
  jdkCataloger,
  binariesCataloger,
];
