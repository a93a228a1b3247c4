/** Maximum characters of a manifest's label in a run. The rest is cut off. */
export const LABEL_CHARACTERS = 100;
