/** The version in package.json. A test compares the two, so that no file must be read at start-up. */
export const VERSION = '0.1.0';
