import { LONGEST_NAME, type Cataloger, type LocatedPackage, type Reading } from './cataloger.js';

/** A file in the folder of an SDK, which has the name of its version. */
const SDK = /^(?:.*\/)?sdk\/([^/]+)\/\.version$/;
/** A file of a NuGet package with what programs are compiled against, or with the program that starts them. */
const PACK = /^(?:.*\/)?packs\/([^/]+)\/([^/]+)\/(?:data\/FrameworkList\.xml|runtimes\/[^/]+\/native\/nethost\.h)$/;

/** What a file is by its content. */
type Facts = { kind: 'sdk'; version: string } | { kind: 'pack' };

function packageOf(path: string, facts: Facts | undefined): Omit<LocatedPackage, 'path' | 'layer'> | undefined {
  const [, sdk] = SDK.exec(path) ?? [];
  // Other programs have a folder of this name.
  if (sdk !== undefined && facts?.kind === 'sdk' && facts.version === sdk)
    return { type: 'generic', name: 'dotnet-sdk', version: sdk, owns: ['./'] };
  const [, name = '', version = ''] = PACK.exec(path) ?? [];
  if (name === '' || name.length > LONGEST_NAME || version.length > LONGEST_NAME || facts?.kind !== 'pack')
    return undefined;
  return { type: 'nuget', name, version, owns: [path.endsWith('.xml') ? '../' : '../../../'] };
}

/**
 * Reads the SDKs of .NET, as `dotnet --list-sdks` names them by their folders, and the packs beside them. All in the
 * folder belongs to them: their deps.json files list only a part.
 * @see https://learn.microsoft.com/dotnet/core/distribution-packaging#disk-layout
 */
export const dotnetSdkCataloger: Cataloger<Facts> = {
  name: 'dotnet-sdk',
  kind: 'language',
  maxBytes: 1024 * 1024,
  wants: (path) =>
    (path.endsWith('/.version') && SDK.test(path)) ||
    ((path.endsWith('/FrameworkList.xml') || path.endsWith('/nethost.h')) && PACK.test(path)),
  read(file): Reading<Facts> {
    const head = Buffer.from(file.head).toString('utf8');
    // A commit and a version.
    const version = /^[0-9a-f]{40}\s+(\d\S*)\s/.exec(head)?.[1];
    if (version !== undefined) return { facts: { kind: 'sdk', version } };
    const isPack = /^\ufeff?(?:<\?xml[^>]*>\s*)?<FileList\s|^\/\/ Licensed to the \.NET Foundation/.test(head);
    return isPack ? { facts: { kind: 'pack' } } : {};
  },
  combine: (found) => ({
    packages: found.flatMap(({ path, layer, reading }) => {
      const listed = packageOf(path, reading.facts);
      return listed === undefined ? [] : [{ ...listed, path, layer }];
    }),
  }),
};
