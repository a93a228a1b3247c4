import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parseRules } from '../../../src/rules/rules-file.js';
import { DEFAULT_JOB_OPERATIONS, DEFAULT_SCHEDULE, readSettings } from '../../../src/settings.js';

const sample = JSON.parse(readFileSync('local.settings.sample.json', 'utf8')) as {
  IsEncrypted: boolean;
  Values: Record<string, string>;
};
const page = readFileSync('docs/reference/settings.md', 'utf8');

/** The settings that src/settings.ts reads. */
function namesRead(): string[] {
  const names = new Set<string>();
  const environment = new Proxy<Record<string, string | undefined>>(
    {},
    {
      get(_target, name) {
        names.add(String(name));
      },
      has(_target, name) {
        names.add(String(name));
        return false;
      },
    },
  );
  readSettings(environment);
  return [...names];
}

describe('local.settings.sample.json', () => {
  test('is valid without changes', () => {
    const { settings, problems } = readSettings(sample.Values);
    expect(problems).toEqual([]);
    expect(settings).toMatchObject({
      PROMOTION_SCHEDULE: DEFAULT_SCHEDULE,
      PROMOTION_PAUSED: false,
      RUN_RETENTION_DAYS: 30,
      ALLOWED_REGISTRIES: ['localhost:5100', 'localhost:5101'],
      JOB_OPERATIONS: DEFAULT_JOB_OPERATIONS.split(','),
      AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    });
    // A path here would prevent the start until somebody has made a key.
    expect(settings.SIGNING_KEY).toBeUndefined();
    expect(settings.AZURE_CLIENT_ID).toBeUndefined();
  });

  test('has a valid rule for the registries of npm start', () => {
    const { rules } = parseRules(sample.Values['PROMOTION_RULES'] ?? '', 'PROMOTION_RULES');
    const [rule, ...more] = rules;
    expect(more).toEqual([]);
    expect(rule).toMatchObject({
      source: { registry: 'localhost:5100', repositories: ['samples/**'] },
      destination: { reference: 'localhost:5101/staging/{repository}:{tag}' },
      sign: [],
    });
  });

  test('names every setting except those of an identity-based account', () => {
    const read = namesRead();
    expect(read.length).toBeGreaterThan(8);
    expect(read.filter((name) => !name.startsWith('AzureWebJobsStorage__')).sort()).toEqual(
      Object.keys(sample.Values)
        .filter((name) => name !== 'FUNCTIONS_WORKER_RUNTIME')
        .sort(),
    );
  });

  test('docs/reference/settings.md has exactly these settings', () => {
    const documented = [...page.matchAll(/^\| `([A-Za-z_]+)` \|/gm)].map(([, name]) => name);
    const host = page.indexOf('## host.json');
    const settings = [...page.slice(0, host).matchAll(/^\| `([A-Za-z_]+)` \|/gm)].map(([, name]) => name);
    expect(documented.length).toBeGreaterThan(settings.length);
    expect(settings.sort()).toEqual([...namesRead(), 'FUNCTIONS_WORKER_RUNTIME'].sort());
  });

  test('contains no secret and is not encrypted', () => {
    expect(sample.IsEncrypted).toBe(false);
    expect(JSON.stringify(sample)).not.toMatch(/AccountKey|BEGIN|SharedAccess/);
  });
});
