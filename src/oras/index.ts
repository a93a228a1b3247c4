/** The verbs of the ORAS guide, over any repository. */
export const ORAS_VERSION = '1.3';
