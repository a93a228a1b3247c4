import type { Side } from './connection.js';
import { parseTarget, type LayoutOptions, type Target } from './target.js';
import { textOf, type Values } from '../verb.js';
import { refuseTogether } from '../errors.js';

/** Reads `--oci-layout` and `--oci-layout-path`. @throws InputError `OPTIONS_EXCLUSIVE` */
export function layoutOptions(values: Values, side: Side = ''): LayoutOptions {
  const [flag, path] = side === '' ? ['ociLayout', 'ociLayoutPath'] : [`${side}OciLayout`, `${side}OciLayoutPath`];
  const layoutPath = textOf(values, path);
  refuseTogether(values, path, flag);
  const isLayout = values[flag] === true || layoutPath !== undefined;
  return { isLayout, ...(layoutPath !== undefined && { layoutPath }) };
}

/** A verb's target. @param options.severalTags allows `name:t1,t2` @throws InputError `REFERENCE_INVALID`, `OPTIONS_EXCLUSIVE` */
export function readTarget(
  text: string,
  values: Values,
  { side = '', severalTags = false }: { side?: Side; severalTags?: boolean } = {},
): Target {
  return parseTarget(text, { ...layoutOptions(values, side), severalTags });
}
