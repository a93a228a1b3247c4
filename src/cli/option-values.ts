import { InputError } from '../oci/index.js';

/** The format that was asked for, if it is one of these. @throws InputError `OPTION_INVALID` */
export function chooseFormat<F extends string>(asked: unknown, formats: readonly F[]): F {
  const format = formats.find((candidate) => candidate === asked);
  if (format !== undefined) return format;
  throw new InputError('OPTION_INVALID', `invalid format type: ${JSON.stringify(asked)}`, {
    remedy: `Supported types: ${formats.join(', ')}`,
  });
}

/** `--concurrency`: 0 and less stand for what is usual, as in Go's tools. @throws InputError `OPTION_INVALID` */
export function parseConcurrency(written: unknown, usual: number): number {
  if (typeof written !== 'string' || /^-\d{1,9}$/.test(written)) return usual;
  return parseCount(written, '--concurrency', 0) || usual;
}

/** A whole number of at least `least`. @throws InputError `OPTION_INVALID` */
export function parseCount(text: string, option: string, least: number): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count >= least) return count;
  throw new InputError('OPTION_INVALID', `${option} should be a number of at least ${least}`);
}
