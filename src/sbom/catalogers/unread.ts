/** Package databases that are recognized by name but not read. Each one is reported as a gap. */
const UNREAD: readonly { ecosystem: string; pattern: RegExp }[] = [
  { ecosystem: 'pacman', pattern: /^var\/lib\/pacman\/local\/[^/]+\/desc$/ },
  { ecosystem: 'conda', pattern: /(?:^|\/)conda-meta\/[^/]+\.json$/ },
];

/** The ecosystem of the package database at this path, if no cataloger reads it. */
export function unreadEcosystem(path: string): string | undefined {
  return UNREAD.find(({ pattern }) => pattern.test(path))?.ecosystem;
}
