import { InconclusiveError, PromoterError } from '../../oci/index.js';

/** The exit code if `explain` has printed an answer, but a registry could not be asked. */
export class UnknownAnswer extends InconclusiveError {
  constructor(reference: string) {
    super('PROMOTION_UNCHECKED', `whether ${reference} is promoted could not be checked`, {
      remedy:
        'The output names each registry that did not answer, and why. Repeat the command when the registry answers.',
    });
  }
}

/** The exit code if `explain --exit-code` has printed that the image is not promoted. */
export class NotPromoted extends PromoterError {
  constructor(reference: string) {
    super('NOT_PROMOTED', `${reference} is not promoted`, { remedy: 'The output says why, and what to do.' });
  }
}

/** The exit code if `sbom diff --exit-code` has printed differences. */
export class SbomsDiffer extends PromoterError {
  constructor(count: number) {
    super('SBOMS_DIFFER', `${count} packages differ`, { remedy: 'The output names them.' });
  }
}

/** The exit code of a command that ends with an error: 1, or the code of an answer. */
export function exitCodeOf(error: unknown): 1 | 2 | 3 {
  if (error instanceof NotPromoted || error instanceof SbomsDiffer) return 2;
  return error instanceof UnknownAnswer ? 3 : 1;
}
