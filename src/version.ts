/** What package.json says; a test holds the two together, so that nothing is read at the start for it. */
export const VERSION = '0.1.0';
