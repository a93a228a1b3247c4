import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { formatGoJson, renderGoTemplate } from '../../oras/index.js';
import { offerValues } from '../completion/complete.js';
import { textOf, writtenOf, type Values } from '../verb.js';

/** How a verb's result is printed. */
export type ResultFormat = { kind: 'text' | 'json' } | { kind: 'go-template'; template: string };

const KINDS = ['text', 'json', 'go-template'] as const;

/** If `isTable` is true, the text is a table and `table` is another name of the text format. */
interface FormatNames {
  isTable?: boolean;
  /** Formats that the verb reads itself, for errors. */
  others?: readonly string[];
}

export function addFormatOptions(command: Command, { isTable = false }: FormatNames = {}): void {
  command
    .option('--format <format>', `text${isTable ? ' (or table)' : ''}, json or go-template=<template> (default text)`)
    .option('--template <template>', 'the template of --format go-template');
  offerValues(command, '--format', [...KINDS, ...(isTable ? ['table'] : [])]);
}

/** @throws InputError `OPTION_INVALID`, `OPTIONS_EXCLUSIVE` */
export function resultFormat(values: Values, { isTable = false, others = [] }: FormatNames = {}): ResultFormat {
  const given = writtenOf(values, 'format') ?? 'text';
  const asked = isTable && given === 'table' ? 'text' : given;
  const equals = asked.indexOf('=');
  const name = equals < 0 ? asked : asked.slice(0, equals);
  const kind = KINDS.find((candidate) => candidate === name);
  const template = textOf(values, 'template') ?? (equals < 0 ? undefined : asked.slice(equals + 1));
  if (kind === undefined || (kind !== 'go-template' && equals >= 0)) {
    throw new InputError('OPTION_INVALID', `invalid format type: ${JSON.stringify(asked)}`, {
      remedy: `supported types: ${['json, go-template, text', ...(isTable ? ['table'] : []), ...others].join(', ')}`,
    });
  }
  if (kind === 'go-template') {
    if (template !== undefined && template !== '') return { kind, template };
    throw new InputError('OPTION_INVALID', '"go-template" format specified but no template given', {
      remedy: 'use `--format go-template=TEMPLATE` to specify the template',
    });
  }
  if (template === undefined) return { kind };
  throw new InputError('OPTIONS_EXCLUSIVE', '--template must be used with --format go-template');
}

/** Prints the result as JSON or by a template. Each verb prints its own text. */
export function formatResult(format: ResultFormat, result: unknown): string {
  if (format.kind === 'go-template') return renderGoTemplate(format.template, result);
  return `${formatGoJson(result, 2)}\n`;
}
