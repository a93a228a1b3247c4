import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import type { Deleting } from '../../operations/manifest-delete.js';
import { confirm } from '../confirm.js';
import type { Io } from '../io.js';
import { describedIn, recordIn } from '../output/read-job-output.js';
import { addTargetOptions } from '../connection/single-target.js';
import type { OperationVerb } from '../operation-verb.js';
import { type Values, operandAt } from '../verb.js';
import { descriptorText } from './print-fetched.js';
import { readTarget } from '../connection/layout-options.js';

/** The options of verbs that delete. */
export function addDeletionOptions(command: Command): void {
  command
    .option('-f, --force', 'do not ask, and treat missing content as deleted')
    .option('--descriptor', 'print the descriptor; requires --force')
    .option('--pretty', 'indent the JSON');
  addTargetOptions(command);
}

/** @throws InputError `CONFIRMATION_MISSING` */
export function checkDeletion({ descriptor, force }: Values): void {
  if (descriptor !== true || force === true) return;
  throw new InputError(
    'CONFIRMATION_MISSING',
    'must apply --force to confirm the deletion if the descriptor is outputted',
  );
}

/** @param question returns the question whether to delete this digest */
export function deletionOptions(io: Io, values: Values, question: (digest: string) => string): Deleting {
  const force = values.force === true;
  return {
    // With --descriptor, a missing manifest is an error: there is nothing to print.
    ignoreMissing: force && values.descriptor !== true,
    ...(!force && { confirm: ({ digest }: Descriptor) => confirm(io, question(digest)) }),
  };
}

/** Prints the result of a deletion, from this process or the app. */
export function deletionPrinter(io: Io): OperationVerb<object, unknown>['print'] {
  return ({ output }, { operands, values }) => {
    const { kind, text } = readTarget(operandAt(operands, 0), values);
    const { deleted, digest } = recordIn(output);
    if (deleted !== true) {
      // It exists, but its deletion was not confirmed.
      if (digest === undefined) io.out(`Missing ${text}\n`);
      return;
    }
    // A job that ran twice does not know the size. Only --descriptor prints it.
    if (values.descriptor !== true) io.out(`Deleted [${kind}] ${text}\n`);
    else io.out(descriptorText(describedIn(output).descriptor, values));
  };
}
