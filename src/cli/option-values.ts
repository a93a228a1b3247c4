import type { Command } from 'commander';
import { InputError, quoted } from '../oci/index.js';
import { parsePlatform } from '../oras/index.js';
import { parseDistributionSpec } from './connection/connection.js';
import type { Io } from './io.js';
import { textOf, writtenOf, type Values } from './verb.js';

/** The format, if it is one of these. @throws InputError `OPTION_INVALID` */
export function chooseFormat<F extends string>(asked: unknown, formats: readonly F[]): F {
  const format = formats.find((candidate) => candidate === asked);
  if (format !== undefined) return format;
  throw new InputError('OPTION_INVALID', `invalid format type: ${JSON.stringify(asked)}`, {
    remedy: `Supported types: ${formats.join(', ')}`,
  });
}

/** Adds `--concurrency`, which is checked before the operands, as in oras. */
export function addConcurrencyOption(command: Command, meaning: string): Command {
  return command.option('--concurrency <number>', meaning, (written) => {
    parseConcurrency(written);
    return written;
  });
}

/** @throws InputError `OPTION_INVALID` */
function parseConcurrency(written: string): number {
  return /^-\d{1,9}$/.test(written) ? 0 : parseCount(written, '--concurrency', 0);
}

/** `--concurrency`. As in Go's tools, 0 and negative numbers mean the default. */
export function concurrencyOf(values: Values): { concurrency?: number } {
  const written = writtenOf(values, 'concurrency');
  const concurrency = written === undefined ? 0 : parseConcurrency(written);
  return concurrency === 0 ? {} : { concurrency };
}

/** A whole number of at least `least`, and at most `most`. @throws InputError `OPTION_INVALID` */
export function parseCount(text: string, option: string, least: number, most?: number): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count >= least && count <= (most ?? count)) return count;
  throw new InputError('OPTION_INVALID', `invalid argument ${quoted(text)} for "${option}" flag`, {
    remedy: `Give a whole number ${most === undefined ? `of at least ${least}` : `from ${least} to ${most}`}.`,
  });
}

/**
 * Text options that are given and not empty, as fields of an operation's input: the fields have the names of the flags.
 */
export function textsOf<N extends string>(values: Values, ...names: N[]): { [K in N]?: string } {
  const given: { [K in string]?: string } = {};
  for (const name of names) {
    const text = textOf(values, name);
    if (text !== undefined) given[name] = text;
  }
  return given as { [K in N]?: string };
}

/** Options without a value that are given, as fields of an operation's input. */
export function flagsOf<N extends string>(values: Values, ...names: N[]): { [K in N]?: true } {
  return Object.fromEntries(names.flatMap((name) => (values[name] === true ? [[name, true]] : []))) as {
    [K in N]?: true;
  };
}

/** A list option as a field of an operation's input, if it has an entry. */
export function listUnder<N extends string>(name: N, entries: readonly string[]): { [K in N]?: string[] } {
  return (entries.length === 0 ? {} : { [name]: [...entries] }) as { [K in N]?: string[] };
}

/** A platform in full: without an architecture, this machine's. @throws InputError `PLATFORM_INVALID` */
export function fullPlatform(text: string, { architecture: here }: Pick<Io, 'architecture'>): string {
  const { os, architecture, variant, osVersion } = parsePlatform(text, here);
  const platform = [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
  return osVersion === undefined ? platform : `${platform}:${osVersion}`;
}

/** `--platform`. @throws InputError `PLATFORM_INVALID` */
export function platformOf(values: Values, io: Pick<Io, 'architecture'>): { platform?: string } {
  const text = textOf(values, 'platform');
  return text === undefined ? {} : { platform: fullPlatform(text, io) };
}

/** `--distribution-spec`. @throws ConfigurationError `OPTION_INVALID` */
export function distributionSpecOf(values: Values): { distributionSpec?: ReturnType<typeof parseDistributionSpec> } {
  const text = textOf(values, 'distributionSpec');
  return text === undefined ? {} : { distributionSpec: parseDistributionSpec(text) };
}
