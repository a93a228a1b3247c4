import { InputError } from '../oci/index.js';

/** The command was not written as it wants to be: said in three lines, as oras does, and not with the whole help. */
export class UsageError extends InputError {
  /** `acr-promoter copy [flags] …` */
  readonly usage: string;

  constructor(message: string, options: { usage: string; advice: string }) {
    super('USAGE_INVALID', message, { remedy: options.advice });
    this.usage = options.usage;
  }
}
