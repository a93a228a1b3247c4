// The import arrows of docs/architecture.md. Each folder of src may import itself and what is listed beside it.
const arrows = {
  functions: ['promotions', 'operations', 'steps', 'inbox', 'promotion', 'runs', 'signing', 'oci'],
  // An order knows of a step only its contract.
  promotions: ['steps/contracts.ts', 'runs'],
  operations: ['promotions', 'steps/contracts.ts'],
  steps: ['inbox', 'promotion', 'runs', 'oras', 'sbom', 'signing', 'oci'],
  inbox: ['oci'],
  promotion: ['oci'],
  runs: ['promotion', 'inbox', 'oci'],
  oras: ['oci'],
  sbom: ['oci'],
  signing: ['oci'],
  oci: [],
  azure: ['steps', 'runs', 'signing', 'oci'],
  cli: ['promotions', 'steps', 'inbox', 'promotion', 'runs', 'oras', 'sbom', 'signing', 'oci', 'azure'],
};
const AZURE_PACKAGES = '(^|/)node_modules/(@azure/|durable-functions/)';
const forbidden = Object.entries(arrows).map(([folder, allowed]) => ({
  name: `arrows-of-${folder}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: {
    path: '^src/',
    pathNot: [folder, ...allowed]
      .map((name) => `^src/${name}(/|$)`)
      .concat(folder === 'cli' ? ['^src/settings', '^src/rules-source', '^src/version'] : []),
  },
}));
forbidden.push(
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
    from: { path: '^src/(oci|oras|sbom|signing|promotion|promotions|operations|runs|steps|inbox)/' },
    to: { path: AZURE_PACKAGES },
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
);
export default {
  forbidden,
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    parser: 'swc',
    exclude: { path: '^dist/' },
  },
};
