import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import type { Deleting } from '../../operations/manifest-delete.js';
import { confirm } from '../confirm.js';
import type { Io } from '../io.js';
import { describedIn, recordIn } from '../output/read-job-output.js';
import { addTargetOptions } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import type { OperationVerb } from '../operation-verb.js';
import type { Values } from '../verb.js';
import { descriptorText } from './print-fetched.js';

/** The options of verbs that delete. */
export function addDeletionOptions(command: Command): void {
  command
    .option('-f, --force', 'do not ask, and treat missing content as deleted')
    .option('--descriptor', 'print the descriptor; requires --force')
    .option('--pretty', 'indent the JSON');
  addTargetOptions(command);
}

/**
 * @param question returns the question whether to delete this digest
 * @throws InputError `CONFIRMATION_MISSING`
 */
export function deletionOptions(io: Io, values: Values, question: (digest: string) => string): Deleting {
  const force = values.force === true;
  if (values.descriptor === true && !force) {
    throw new InputError(
      'CONFIRMATION_MISSING',
      'must apply --force to confirm the deletion if the descriptor is outputted',
    );
  }
  return {
    // With --descriptor, a missing manifest is an error: there is nothing to print.
    ignoreMissing: force && values.descriptor !== true,
    ...(!force && { confirm: ({ digest }: Descriptor) => confirm(io, question(digest)) }),
  };
}

/**
 * Prints the result of a deletion, from this process or the app.
 * @param targetOf parses the first operand
 */
export function deletionPrinter(
  io: Io,
  targetOf: (operands: readonly string[], values: Values) => Target,
): OperationVerb<object, unknown>['print'] {
  return (operands, values) => {
    // The user confirmed the job before it was sent. Only the options are checked here.
    deletionOptions(io, values, () => '');
    const { kind, text } = targetOf(operands, values);
    return ({ output }) => {
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
  };
}
