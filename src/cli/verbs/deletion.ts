import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import { formatDescriptor, type DeleteOptions, type Deletion } from '../../oras/index.js';
import { confirm } from '../confirm.js';
import type { Io } from '../io.js';
import { describedIn, recordIn } from '../output/job-output.js';
import { addTargetOptions } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import type { JobPrinter, Values } from '../verb.js';

/** The options of verbs that delete. */
export function addDeletionOptions(command: Command): void {
  command
    .option('-f, --force', 'ask nothing, and take what is not there for deleted')
    .option('--descriptor', 'print the descriptor; needs --force')
    .option('--pretty', 'lay the JSON out for reading');
  addTargetOptions(command);
}

/** @param question of a digest @throws InputError `CONFIRMATION_MISSING` */
export function deletionOptions(io: Io, values: Values, question: (digest: string) => string): DeleteOptions {
  const force = values.force === true;
  if (values.descriptor === true && !force) {
    throw new InputError(
      'CONFIRMATION_MISSING',
      'must apply --force to confirm the deletion if the descriptor is outputted',
    );
  }
  return {
    signal: io.signal,
    // Whoever wants a descriptor wants to know that there is none.
    ignoreMissing: force && values.descriptor !== true,
    ...(!force && { confirm: ({ digest }: Descriptor) => confirm(io, question(digest)) }),
  };
}

export function printDeletion(io: Io, values: Values, target: Target, deletion: Deletion): void {
  if (deletion.state === 'missing') io.out(`Missing ${target.text}\n`);
  if (deletion.state !== 'deleted') return;
  if (values.descriptor !== true) io.out(`Deleted [${target.kind}] ${target.text}\n`);
  else printDescriptor(io, values, deletion.descriptor);
}

function printDescriptor(io: Io, values: Values, descriptor: Descriptor): void {
  io.out(values.pretty === true ? `${formatDescriptor(descriptor, 2)}\n` : formatDescriptor(descriptor));
}

/** Of a deletion by the app. @param readTarget of the first operand */
export function deletionPrinter(
  io: Io,
  readTarget: (operands: readonly string[], values: Values) => Target,
): JobPrinter {
  return {
    options: ['descriptor', 'pretty'],
    prepare(operands, values) {
      // What was asked before it is handed over is not asked again: only the options count here.
      deletionOptions(io, values, () => '');
      const target = readTarget(operands, values);
      return ({ output }) => {
        if (recordIn(output).deleted !== true) printDeletion(io, values, target, { state: 'missing' });
        // A deletion that was done twice has no size any more; without --descriptor nobody misses it.
        else if (values.descriptor === true) printDescriptor(io, values, describedIn(output).descriptor);
        else io.out(`Deleted [${target.kind}] ${target.text}\n`);
      };
    },
  };
}
