/** Where packages of the distribution have such files. They are listed as those packages. */
const OF_SYSTEM = /^usr\/(?:lib|share)[^/]*\//;

/** Package databases that are recognized by name but not read. Each one is reported as a gap. */
const UNREAD: readonly { ecosystem: string; pattern: RegExp; isOfSystem?: RegExp }[] = [
  { ecosystem: 'pacman', pattern: /^var\/lib\/pacman\/local\/[^/]+\/desc$/ },
  { ecosystem: 'conda', pattern: /(?:^|\/)conda-meta\/[^/]+\.json$/ },
  { ecosystem: 'opkg', pattern: /^(?:usr|var)\/lib\/opkg\/status$/ },
  { ecosystem: 'portage', pattern: /^var\/db\/pkg\/[^/]+\/[^/]+\/PF$/ },
  { ecosystem: 'nix', pattern: /^nix\/var\/nix\/db\/db\.sqlite$/ },
  { ecosystem: 'packed Python eggs', pattern: /-py\d[\d.]*(?:-[\w.-]+)?\.egg$/ },
  { ecosystem: 'the cache of Yarn', pattern: /(?:^|\/)\.yarn\/(?:berry\/)?cache\/[^/]+\.zip$/ },
  { ecosystem: "Yarn Plug'n'Play", pattern: /(?:^|\/)\.pnp\.c?js$/ },
  { ecosystem: 'gems that Bundler took from Git', pattern: /(?:^|\/)bundler\/gems\/[^/]+\/[^/]+\.gemspec$/ },
  { ecosystem: 'Perl', pattern: /\/auto\/(?:[^/]+\/)+\.packlist$/, isOfSystem: OF_SYSTEM },
  { ecosystem: 'R', pattern: /(?:^|\/)(?:site-)?library\/[^/]+\/Meta\/package\.rds$/, isOfSystem: OF_SYSTEM },
  { ecosystem: 'LuaRocks', pattern: /\/rocks(?:-[\d.]+)?\/[^/]+\/[^/]+\/rock_manifest$/, isOfSystem: OF_SYSTEM },
  { ecosystem: 'Erlang', pattern: /\/ebin\/[^/]+\.app$|\.ez$/, isOfSystem: OF_SYSTEM },
  // Archives with whole programs and the packages that they need.
  { ecosystem: 'Python archives', pattern: /\.(?:pex|pyz)$/ },
  { ecosystem: 'Electron archives', pattern: /\.asar$/ },
  { ecosystem: 'PHP archives', pattern: /\.phar$/, isOfSystem: OF_SYSTEM },
];

/** All patterns in one: nearly no path matches any. */
const ANY = new RegExp(UNREAD.map(({ pattern }) => pattern.source).join('|'));

/** The ecosystem of the package database at this path, if no cataloger reads it. */
export function unreadEcosystem(path: string): string | undefined {
  if (!ANY.test(path)) return undefined;
  return UNREAD.find(({ pattern, isOfSystem }) => pattern.test(path) && isOfSystem?.test(path) !== true)?.ecosystem;
}
