// The import arrows of docs/explanation/architecture.md, for every file of src: the folders are a list from top to bottom, and a file imports
// from its own folder and from those below it.
const LIBRARIES = ['oras', 'sbom', 'signing', 'oci'];
const STEPS = ['schedule', 'operations', 'promotions', 'evidence', 'transfer'];
const PURE = ['rules', 'messages'];
const below = (folder) => STEPS.slice(STEPS.indexOf(folder) + 1);

/** What each folder may import beside itself. */
const arrows = {
  functions: [...STEPS, 'rows', ...PURE, 'ports', 'signing', 'oci'],
  cli: [...STEPS, 'rows', ...PURE, 'ports', 'azure', ...LIBRARIES],
  ...Object.fromEntries(STEPS.map((folder) => [folder, [...below(folder), 'rows', ...PURE, 'ports', ...LIBRARIES]])),
  rows: ['rules', 'messages', 'ports', 'oci'],
  rules: ['messages', 'oci'],
  messages: ['oci'],
  // Types alone, of what they carry: see ports-are-types.
  ports: ['rows', ...PURE, 'sbom', 'signing', 'oci'],
  azure: ['ports', 'signing', 'oci'],
  oras: ['oci'],
  sbom: ['oci'],
  signing: ['oci'],
  oci: [],
};
/** The same for the files of src itself. */
const root = {
  main: ['compose', 'version', 'functions/', 'oci/'],
  compose: [
    'load-problems',
    'load-signer',
    'rules-source',
    'settings',
    'version',
    'functions/',
    'ports/',
    'azure/',
    'promotions/',
    'transfer/',
    'sbom/',
    'signing/',
    'oci/',
  ],
  'load-problems': ['settings', 'functions/', 'oci/'],
  'load-signer': ['load-problems', 'rules-source', 'settings', 'azure/', 'signing/', 'oci/'],
  settings: ['azure/', 'operations/', 'transfer/', 'messages/', 'sbom/', 'oci/'],
  'rules-source': ['ports/', 'rules/', 'messages/', 'oci/'],
  version: [],
};
/** What breaks an arrow, and why it may. */
const exceptions = {
  // A row is parsed where it is read, by its own schema, and listed by its own filters.
  azure: ['rows'],
};
/** Files of src itself that a folder may import. */
const rootFiles = { cli: ['rules-source', 'version'] };
const AZURE_PACKAGES = '(^|/)node_modules/(@azure/|durable-functions/)';
const forbidden = [
  ...Object.entries(arrows).map(([folder, allowed]) => ({
    name: `arrows-of-${folder}`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: {
      path: '^src/',
      pathNot: [folder, ...allowed, ...(exceptions[folder] ?? [])]
        .map((name) => `^src/${name}/`)
        .concat((rootFiles[folder] ?? []).map((name) => `^src/${name}\\.ts$`)),
    },
  })),
  ...Object.entries(root).map(([file, allowed]) => ({
    name: `arrows-of-${file}.ts`,
    severity: 'error',
    from: { path: `^src/${file}\\.ts$` },
    to: { path: '^src/', pathNot: allowed.map((name) => (name.endsWith('/') ? `^src/${name}` : `^src/${name}\\.ts$`)) },
  })),
  {
    name: 'every-file-has-arrows',
    comment: 'A folder or a file of src itself that is named above in no list.',
    severity: 'error',
    from: {
      path: '^src/',
      pathNot: [`^src/(${Object.keys(arrows).join('|')})/`, `^src/(${Object.keys(root).join('|')})\\.ts$`],
    },
    to: {},
  },
  {
    name: 'ports-are-types',
    comment:
      'Rows and rules use ports, and ports carry rows and rules: types alone, so that nothing is loaded in a circle.',
    severity: 'error',
    from: { path: '^src/ports/' },
    to: { path: '^src/(?!ports/)', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'the-order-is-pure',
    comment: 'An order asks for steps by their contracts, and does nothing by itself: it is replayed.',
    severity: 'error',
    from: { path: '^src/(promotions/promote|rows/(order|step-contract)|operations/run-job)\\.ts$' },
    to: {
      pathNot: [
        '^src/(promotions|evidence|transfer|operations)/contracts\\.ts$',
        '^src/promotions/promote\\.ts$',
        '^src/rows/(order|step-contract|run-row|cancellation)\\.ts$',
        '^src/oci/index\\.ts$',
        '(^|/)node_modules/zod/',
      ],
    },
  },
  {
    name: 'rules-and-messages-are-pure',
    severity: 'error',
    from: { path: '^src/(rules|messages)/' },
    to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|zlib|util)$' },
  },
  {
    name: 'through-the-public-face',
    comment: 'oci, oras, sbom and signing are entered through index.ts, from outside their own folder.',
    severity: 'error',
    from: { path: '^(src|local)/([^/]+)/' },
    to: { path: '^src/(oci|oras|sbom|signing)/(?!index\\.ts)', pathNot: ['^$2/', '^src/$2/'] },
  },
  {
    name: 'libraries-know-no-azure',
    severity: 'error',
    from: { path: '^src/', pathNot: '^src/(azure|functions|compose|load-signer)' },
    to: { path: AZURE_PACKAGES },
  },
  {
    name: 'layers-are-read-in-a-thread',
    comment: 'What parses the bytes of layers is imported by the thread of src/sbom/worker alone, except as types.',
    severity: 'error',
    from: {
      path: '^src/',
      pathNot: '^src/sbom/(worker|layers|catalogers|documents)/|^src/sbom/(ownership|completeness)',
    },
    to: {
      path: '^src/sbom/((worker|layers|catalogers|documents)/|ownership|completeness)',
      dependencyTypesNot: ['type-only'],
    },
  },
  { name: 'src-never-imports-local', severity: 'error', from: { path: '^src/' }, to: { path: '^local/' } },
  {
    name: 'no-cycles',
    severity: 'error',
    from: {},
    to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  },
  {
    name: 'only-sending-knows-undici',
    severity: 'error',
    from: { path: '^src/', pathNot: '^src/oci/registry/(send|dispatchers)\\.ts$' },
    to: { path: '(^|/)node_modules/undici/' },
  },
];
export default {
  forbidden,
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    parser: 'swc',
    exclude: { path: '^dist/' },
  },
};
