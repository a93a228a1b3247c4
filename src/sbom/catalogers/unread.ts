/** Package databases that are recognized by name but not read. Each one is reported as a gap. */
const UNREAD: readonly { ecosystem: string; pattern: RegExp }[] = [
  { ecosystem: 'pacman', pattern: /^var\/lib\/pacman\/local\/[^/]+\/desc$/ },
  { ecosystem: 'conda', pattern: /(?:^|\/)conda-meta\/[^/]+\.json$/ },
  { ecosystem: 'opkg', pattern: /^(?:usr|var)\/lib\/opkg\/status$/ },
  { ecosystem: 'portage', pattern: /^var\/db\/pkg\/[^/]+\/[^/]+\/PF$/ },
  { ecosystem: 'nix', pattern: /^nix\/var\/nix\/db\/db\.sqlite$/ },
  { ecosystem: 'packed Python eggs', pattern: /-py\d[\d.]*(?:-[\w.-]+)?\.egg$/ },
  { ecosystem: 'the cache of Yarn', pattern: /(?:^|\/)\.yarn\/cache\/[^/]+\.zip$/ },
];

/** The ecosystem of the package database at this path, if no cataloger reads it. */
export function unreadEcosystem(path: string): string | undefined {
  return UNREAD.find(({ pattern }) => pattern.test(path))?.ecosystem;
}
