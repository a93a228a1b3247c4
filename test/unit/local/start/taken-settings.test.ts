import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { TAKEN_SETTINGS } from '../../../../local/start/taken-settings.js';

// Settings that `npm start` makes or finds itself. The schedule and the registries also use given values.
const ITS_OWN = [
  'FUNCTIONS_WORKER_RUNTIME',
  'PROMOTION_RULES',
  'PROMOTION_SCHEDULE',
  'ALLOWED_REGISTRIES',
  'AZURE_CLIENT_ID',
  'AzureWebJobsStorage',
];

test('npm start takes every other setting from the environment', () => {
  // The sample names all settings: test/unit/infra/settings-sample.test.ts.
  const sample = JSON.parse(readFileSync('local.settings.sample.json', 'utf8')) as { Values: object };
  expect([...TAKEN_SETTINGS, ...ITS_OWN].sort()).toEqual(Object.keys(sample.Values).sort());
});
