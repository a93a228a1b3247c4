import { InconclusiveError } from '../../oci/index.js';

/** `explain` has printed its answer, and the answer is that it is not known. */
export class UnknownAnswer extends InconclusiveError {
  constructor(reference: string) {
    super('PROMOTION_UNKNOWN', `whether ${reference} is promoted could not be checked`, {
      remedy: 'The answer names each registry that could not be asked, and why. Ask again when it answers.',
    });
  }
}

/** The exit code of a command that ends with an error: 1, or 3 if the question was answered with "unknown". */
export function exitCodeOf(error: unknown): 1 | 3 {
  return error instanceof UnknownAnswer ? 3 : 1;
}
