import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationError } from '../../src/oci/index.js';
import { isRulesBlob, readText, rulesSource } from '../../src/rules-source.js';
import type { RulesSource } from '../../src/ports/rules-source.js';
import { createSelfSignedCertificate } from '../support/self-signed.js';

const URL = 'https://account.blob.core.windows.net/rules/rules.json';
const { certificatePem } = createSelfSignedCertificate({ commonName: 'release', days: 1 });

let root: string;
let nowMs: number;
let blobs: (string | Error)[];
let asked: string[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'rules-'));
  await mkdir(join(root, 'config'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});
beforeEach(() => {
  nowMs = 0;
  blobs = [];
  asked = [];
});

function source(setting: string | undefined): RulesSource {
  return rulesSource({
    setting,
    root,
    now: () => nowMs,
    readBlob: async (url) => {
      asked.push(url);
      const answer = blobs.shift() ?? new Error('nobody expected this');
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
}
const document = (name: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({
    rules: [
      {
        name,
        source: { registry: 'r.azurecr.io', repositories: ['samples/**'] },
        destination: { reference: 'r.azurecr.io/staging/{repository}:{tag}' },
        ...more,
      },
    ],
  });
const trusting = (trustStore: string): Record<string, unknown> => ({
  verify: { signatures: [{ format: 'notary', trustStore }] },
});
const names = async (rules: RulesSource): Promise<string[]> => (await rules.load()).map(({ name }) => name);

describe('sources of rules', () => {
  test('without a setting there are no rules', async () => {
    expect(await names(source(undefined))).toEqual([]);
  });

  test('rules may be inline', async () => {
    expect(await names(source(` ${document('inline')}`))).toEqual(['inline']);
  });

  test('rules may be in a JSON or YAML file, with an absolute path or one relative to the package', async () => {
    await writeFile(join(root, 'config', 'rules.json'), document('file'));
    expect(await names(source('config/rules.json'))).toEqual(['file']);
    expect(await names(source(join(root, 'config', 'rules.json')))).toEqual(['file']);
    await writeFile(
      join(root, 'rules.yaml'),
      'rules:\n  - name: yaml\n    source: {registry: r.azurecr.io, repositories: ["**"]}\n    destination: {reference: "r.azurecr.io/s/{repository}:{tag}"}\n',
    );
    expect(await names(source('rules.yaml'))).toEqual(['yaml']);
  });

  test('rules may be in a blob', async () => {
    blobs = [document('blob')];
    expect(isRulesBlob(URL)).toBe(true);
    expect(await names(source(URL))).toEqual(['blob']);
    expect(asked).toEqual([URL]);
  });

  test.each([
    ['a file that is not there', 'config/none.json', 'RULES_UNREADABLE'],
    ['a folder', 'config', 'RULES_UNREADABLE'],
    ['JSON that is broken', '{"rules":[', 'RULES_INVALID'],
    ['rules that are none', '{"rules":[{}]}', 'RULES_INVALID'],
    [
      'a destination whose registry is a placeholder',
      document('odd', { destination: { reference: '{repository}/x:{tag}' } }),
      'RULES_INVALID',
    ],
  ])('%s gives an error', async (_name, setting, code) => {
    await expect(source(setting).load()).rejects.toMatchObject({ code, remedy: expect.any(String) });
  });

  test('a registry name is converted to lower case, as in events', async () => {
    const written = document('upper', {
      source: { registry: 'MyRegistry.azurecr.io', repositories: ['**'] },
      destination: { reference: 'MyRegistry.azurecr.io/staging/{repository}:{tag}' },
    });
    const [rule] = await source(written).load();
    expect(rule?.source.registry).toBe('myregistry.azurecr.io');
    expect(rule?.destination.reference).toBe('myregistry.azurecr.io/staging/{repository}:{tag}');
  });
});

describe('trust stores', () => {
  test('inline PEM in a rule is returned unchanged', async () => {
    const [rule] = await source(document('inline', trusting(certificatePem))).load();
    expect(rule?.verify.signatures[0]?.trustStore).toBe(certificatePem);
  });

  test('a path is relative to the rules file', async () => {
    await writeFile(join(root, 'config', 'release.pem'), certificatePem);
    await writeFile(join(root, 'config', 'trusting.json'), document('file', trusting('release.pem')));
    const [beside] = await source('config/trusting.json').load();
    expect(beside?.verify.signatures[0]?.trustStore).toBe(certificatePem);
    const [inline] = await source(document('inline', trusting('config/release.pem'))).load();
    expect(inline?.verify.signatures[0]?.trustStore).toBe(certificatePem);
  });

  test('the error for a missing file names the rule', async () => {
    await expect(source(document('mine', trusting('none.pem'))).load()).rejects.toMatchObject({
      code: 'RULES_UNREADABLE',
      message: expect.stringContaining('rule mine'),
    });
  });

  test('a file without certificates is refused and its content is not shown', async () => {
    await writeFile(join(root, 'secret.txt'), 'IDENTITY_HEADER=hunter2');
    const failure = await source(document('mine', trusting('secret.txt')))
      .load()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'RULES_INVALID' });
    expect(JSON.stringify(failure)).not.toContain('hunter2');
  });

  test('a rule that is too large with its trust stores is refused', async () => {
    await writeFile(join(root, 'many.pem'), certificatePem.repeat(60));
    await expect(source(document('mine', trusting('many.pem'))).load()).rejects.toMatchObject({
      code: 'RULES_INVALID',
      message: expect.stringMatching(/mine.*30000/),
    });
  });
});

describe('caching of rules', () => {
  test('a blob is cached for a minute', async () => {
    blobs = [document('first'), document('second')];
    const rules = source(URL);
    expect(await names(rules)).toEqual(['first']);
    nowMs = 59_999;
    expect(await names(rules)).toEqual(['first']);
    nowMs = 60_000;
    expect(await names(rules)).toEqual(['second']);
    expect(asked).toHaveLength(2);
  });

  test('parallel loads read the blob once', async () => {
    blobs = [document('first')];
    const rules = source(URL);
    await Promise.all([rules.load(), rules.load(), rules.load()]);
    expect(asked).toHaveLength(1);
  });

  test('a failed read is not cached', async () => {
    blobs = [new ConfigurationError('RULES_UNREADABLE', 'not there', { transient: true }), document('now')];
    const rules = source(URL);
    await expect(rules.load()).rejects.toMatchObject({ code: 'RULES_UNREADABLE', transient: true });
    expect(await names(rules)).toEqual(['now']);
  });

  test('a changed file is read within seconds', async () => {
    const path = join(root, 'changing.json');
    await writeFile(path, document('before'));
    const rules = source('changing.json');
    expect(await names(rules)).toEqual(['before']);
    await writeFile(path, document('after'));
    nowMs += 1_000;
    expect(await names(rules)).toEqual(['after']);
  });
});

test('an unreadable file gives an error with the code of its setting', async () => {
  await expect(readText(join(root, 'none.pem'), 'SIGNING_KEY_UNREADABLE', 'SIGNING_KEY')).rejects.toMatchObject({
    code: 'SIGNING_KEY_UNREADABLE',
    remedy: expect.stringContaining('SIGNING_KEY'),
  });
});
