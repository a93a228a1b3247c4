import { describe, expect, test } from '@jest/globals';
import { LikelyDigests } from '../../../src/sbom/catalogers/file-digests.js';

/** The algorithms for the last of the files of a layer. */
function algorithmsFor(paths: readonly string[], isProgram = true): readonly string[] {
  const likely = new LikelyDigests();
  for (const path of paths) likely.note(path);
  return likely.algorithmsFor(paths.at(-1) ?? '', isProgram);
}

describe('a program gets the digests that a package of its distribution may list', () => {
  test.each<[string, string[], string[]]>([
    ['of Debian', ['etc/apt/sources.list', 'usr/bin/perl'], ['md5']],
    ['of Debian or chisel', ['usr/lib/x86_64-linux-gnu/libc.so.6'], ['md5', 'sha256']],
    ['of Debian, added by apt', ['etc/alternatives/pager', 'usr/lib/x86_64-linux-gnu/libc.so.6'], ['md5']],
    ['of Alpine', ['etc/apk/world', 'usr/bin/perl'], ['sha1', 'sha256']],
    ['of a distribution that nothing shows yet', ['usr/bin/perl'], ['md5', 'sha1', 'sha256']],
    ['in opt, beside files of the system', ['etc/ld.so.cache', 'opt/google/chrome'], ['md5', 'sha1', 'sha256']],
    ['in opt, of a layer without files of the system', ['opt/programs/oras'], ['sha256']],
    ['in a folder of no distribution', ['srv/app/server'], ['sha256']],
    ['of a Node package', ['srv/node_modules/a/a.node'], []],
  ])('%s', (_, paths, algorithms) => {
    expect(algorithmsFor(paths)).toEqual(algorithms);
  });

  test('an archive of a Python package gets none: it is listed whatever its digest is', () => {
    expect(algorithmsFor(['usr/local/lib/python3.11/site-packages/pyspark/jars/a.jar'], false)).toEqual([]);
    expect(algorithmsFor(['etc/apt/sources.list', 'usr/share/java/a.jar'], false)).toEqual(['md5']);
  });
});
