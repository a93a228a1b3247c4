import type { Cataloger, Reading } from './cataloger.js';

/** Both locations, in order of precedence. Usually the first is a link to the second. */
export const OS_RELEASE_PATHS = ['etc/os-release', 'usr/lib/os-release'] as const;

function unquote(value: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(value.trim());
  return (quoted?.[2] ?? value.trim()).replaceAll(/\\(.)/g, '$1');
}

/**
 * Reads the distribution, which becomes the namespace of deb package URLs.
 * @see https://www.freedesktop.org/software/systemd/man/255/os-release.html
 */
export const osReleaseCataloger: Cataloger = {
  name: 'os-release',
  kind: 'os',
  maxBytes: 64 * 1024,
  wants: (path) => path === OS_RELEASE_PATHS[0] || path === OS_RELEASE_PATHS[1],
  places: OS_RELEASE_PATHS,
  async read(file): Promise<Reading> {
    const fields = new Map<string, string>();
    for (const line of new TextDecoder().decode(await file.whole()).split('\n')) {
      const match = /^([A-Z_]+)=(.*)$/.exec(line.trim());
      if (match?.[1] !== undefined && match[2] !== undefined) fields.set(match[1], unquote(match[2]));
    }
    const id = fields.get('ID')?.toLowerCase();
    const versionId = fields.get('VERSION_ID');
    if (id === undefined || !/^[a-z0-9._-]{1,100}$/.test(id)) return {};
    return { distro: { id, ...(versionId !== undefined && /^[\w.-]{1,100}$/.test(versionId) && { versionId }) } };
  },
};
