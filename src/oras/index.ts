/** The verbs of the ORAS guide, over any repository: registries and layouts alike. */
export * from './discover.js';
export * from './discover-formats.js';
export * from './go-json.js';
export * from './platform.js';
export * from './copy.js';
export * from './manifest-formats.js';
export * from './tags.js';
export * from './go-template.js';
