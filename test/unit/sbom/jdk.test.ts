import { expect, test } from '@jest/globals';
import { jdkCataloger } from '../../../src/sbom/catalogers/jdk.js';
import { layerFile } from '../../support/layer-file.js';

const FOLDERS = ['bin', 'conf', 'include', 'jmods', 'jre', 'legal', 'lib', 'man'].map((folder) => `./${folder}/`);
const read = (text: string) => jdkCataloger.read(layerFile(text));

test('a Java runtime is named by its release file and owns its folders', async () => {
  expect(jdkCataloger.wants('opt/java/openjdk/release')).toBe(true);
  expect(
    await read('IMPLEMENTOR="Eclipse Adoptium"\nJAVA_RUNTIME_VERSION="25.0.3+9-LTS"\nJAVA_VERSION="25.0.3"\n'),
  ).toEqual({
    packages: [
      { type: 'generic', name: 'openjdk', version: '25.0.3+9-LTS', supplier: 'Eclipse Adoptium', owns: FOLDERS },
    ],
  });
});

test('an older Java runtime has no runtime version', async () => {
  expect(await read('JAVA_VERSION="1.8.0_412"\r\nOS_NAME="Linux"\r\n')).toEqual({
    packages: [{ type: 'generic', name: 'openjdk', version: '1.8.0_412', owns: FOLDERS }],
  });
});

test('a release file of another program is no package, and one without a version is a gap', async () => {
  expect(await read('VERSION=1\nNOT_JAVA_VERSION="2"\n')).toEqual({});
  expect(await read('JAVA_VERSION=""\n')).toEqual({
    gaps: [{ cause: 'database-unreadable', detail: 'a Java runtime without a usable version' }],
  });
});
