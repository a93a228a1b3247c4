import { LONGEST_NAME, isUsable, unreadable, type Cataloger, type Reading } from './cataloger.js';

/** The folders of a Java runtime. Others may put their programs beside them. */
const FOLDERS = ['bin', 'conf', 'include', 'jmods', 'jre', 'legal', 'lib', 'man'];

/**
 * Reads Java runtimes: the file `release` in their folder. What lies in its known folders belongs to the runtime.
 * @see https://openjdk.org/jeps/223
 */
export const jdkCataloger: Cataloger = {
  name: 'jdk',
  kind: 'language',
  maxBytes: 1024 * 1024,
  wants: (path) => path.endsWith('/release'),
  async read(file): Promise<Reading> {
    const text = Buffer.from(await file.whole()).toString('utf8');
    const version = (/^JAVA_RUNTIME_VERSION="?([^"\r\n]*)/m.exec(text) ??
      /^JAVA_VERSION="?([^"\r\n]*)/m.exec(text))?.[1];
    // Other programs have a file of this name.
    if (version === undefined) return {};
    if (!isUsable(version)) return unreadable('a Java runtime without a usable version');
    const supplier = /^IMPLEMENTOR="?([^"\r\n]*)/m.exec(text)?.[1]?.slice(0, LONGEST_NAME);
    return {
      packages: [
        {
          type: 'generic',
          name: 'openjdk',
          version,
          ...(supplier !== undefined && supplier !== '' && { supplier }),
          owns: FOLDERS.map((folder) => `./${folder}/`),
        },
      ],
    };
  },
};
