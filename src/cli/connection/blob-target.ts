import { InputError, isDigest, parseDigest, type Digest } from '../../oci/index.js';
import { UsageError } from '../errors.js';
import { parseCount } from '../option-values.js';
import { readTarget } from './layout-options.js';
import type { Target } from './target.js';
import { writtenOf, type Values, type VerbDescription } from '../verb.js';

/**
 * Parses the target of a blob, which has a digest or nothing after its name.
 * @throws InputError `DIGEST_INVALID`
 */
export function parseBlobTarget(text: string, values: Values): { target: Target; digest?: Digest } {
  const target = readTarget(text, values);
  const { tagOrDigest } = target;
  if (tagOrDigest === undefined) return { target };
  return { target, digest: isDigest(tagOrDigest) ? tagOrDigest : parseDigest(tagOrDigest) };
}

/** `--size`; a negative number means not given. @throws InputError `OPTION_INVALID` */
export function sizeOf(values: Values): number | undefined {
  const size = writtenOf(values, 'size');
  return size === undefined || /^-\d+$/.test(size) ? undefined : parseCount(size, '--size', 0);
}

/** Standard input is either content or a password. @throws InputError `OPTIONS_EXCLUSIVE` */
export function checkInput(path: string, { passwordStdin }: Values): void {
  if (path !== '-' || passwordStdin !== true) return;
  throw new InputError('OPTIONS_EXCLUSIVE', '`-` and `--password-stdin` cannot both read standard input');
}

/** A blob from standard input needs its size and digest. @throws InputError `OPTION_MISSING`, `OPTIONS_EXCLUSIVE`, `DIGEST_INVALID` */
export function checkBlobInput(path: string, values: Values, digest: Digest | undefined): void {
  checkInput(path, values);
  if (path !== '-') return;
  if (sizeOf(values) === undefined) {
    throw new InputError('OPTION_MISSING', '`--size` must be provided if the blob is read from stdin', {
      remedy: 'Add --size BYTES.',
    });
  }
  if (digest === undefined) {
    throw new InputError('DIGEST_INVALID', 'content digest must be provided if it is read from stdin');
  }
}

/** @throws UsageError if there is no digest */
export function checkBlob(verb: VerbDescription, text: string, values: Values): void {
  if (parseBlobTarget(text, values).digest !== undefined) return;
  throw new UsageError(`"${text}": no digest specified`, {
    usage: `acr-promoter ${verb.path} [flags] ${verb.operands}`,
    advice: `Please specify a reference in the form of "<name>@<digest>". Run "acr-promoter ${verb.path} -h" for more options and examples`,
  });
}
