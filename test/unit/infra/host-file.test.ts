import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { LONG_STEPS } from '../../../src/functions/activities.js';

interface HostFile {
  version: string;
  functionTimeout: string;
  extensionBundle: { id: string; version: string };
  extensions: {
    http: { routePrefix: string };
    queues: Record<string, string | number>;
    durableTask: Record<string, unknown> & { storageProvider: Record<string, string | number> };
  };
  telemetryMode?: string;
  logging: unknown;
}

const text = readFileSync('host.json', 'utf8');
const host = JSON.parse(text) as HostFile;
const page = readFileSync('docs/reference/settings.md', 'utf8');

function seconds(span: unknown): number {
  const [, hours, minutes, rest] = /^(\d\d):(\d\d):(\d\d)$/.exec(String(span)) ?? [];
  if (rest === undefined) throw new Error(`${String(span)} is no time span hh:mm:ss`);
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
}

/** The path `a.b.c` of every value that is not an object. */
function paths(value: unknown, prefix = ''): string[] {
  if (typeof value !== 'object' || value === null) return [prefix];
  return Object.entries(value).flatMap(([key, inner]) => paths(inner, prefix === '' ? key : `${prefix}/${key}`));
}

describe('host.json', () => {
  test('has the versions that Durable Functions requires', () => {
    expect(host.version).toBe('2.0');
    expect(host.extensionBundle).toEqual({
      id: 'Microsoft.Azure.Functions.ExtensionBundle',
      version: '[4.32.0, 5.0.0)',
    });
  });

  test('gives an activity more time than its nine minutes, and little more', () => {
    expect(seconds(host.functionTimeout)).toBe(10 * 60);
  });

  test('has five tries per queue message, half a minute apart, and leaves base64 to the app', () => {
    expect(host.extensions.queues).toMatchObject({
      visibilityTimeout: '00:00:30',
      maxDequeueCount: 5,
      messageEncoding: 'none',
    });
    expect(Number(host.extensions.queues['batchSize'])).toBeLessThanOrEqual(8);
    expect(Number(host.extensions.queues['newBatchThreshold'])).toBeLessThan(
      Number(host.extensions.queues['batchSize']),
    );
    expect(seconds(host.extensions.queues['maxPollingInterval'])).toBeLessThanOrEqual(10);
  });

  test('has a hub name that every store accepts, few parallel orchestrations, and polling within ten seconds', () => {
    const { durableTask } = host.extensions;
    expect(durableTask['hubName']).toMatch(/^[A-Za-z][A-Za-z0-9]{2,44}$/);
    expect(durableTask['maxConcurrentOrchestratorFunctions']).toBe(4);
    expect(durableTask.storageProvider).toMatchObject({ type: 'AzureStorage', partitionCount: 4 });
    expect(seconds(durableTask.storageProvider['maxQueuePollingInterval'])).toBeLessThanOrEqual(10);
    // With less than a minute the host does not start. With more, the work of an instance that stops is delayed longer.
    expect(seconds(durableTask.storageProvider['controlQueueVisibilityTimeout'])).toBe(60);
    expect(seconds(durableTask.storageProvider['workItemQueueVisibilityTimeout'])).toBe(60);
    expect(durableTask['tracing']).toEqual({ traceInputsAndOutputs: false, traceReplayEvents: false });
  });

  test('has two activities more than long steps of a process, so that short steps always run', () => {
    expect(host.extensions.durableTask['maxConcurrentActivityFunctions']).toBe(LONG_STEPS + 2);
  });

  test('needs no setting, so a missing one cannot prevent the start', () => {
    expect(text).not.toContain('%');
  });

  test('has the route prefix of the README', () => {
    expect(host.extensions.http.routePrefix).toBe('api');
  });

  test('each value is explained in docs/reference/settings.md', () => {
    const explained = paths(host).filter((path) => {
      const name = path.split('/').at(-1) ?? path;
      return page.includes(`\`${name}\``) && page.includes(`\`${String(valueAt(host, path))}\``);
    });
    expect(explained).toEqual(paths(host));
  });
});

function valueAt(value: unknown, path: string): unknown {
  return path.split('/').reduce((inner, key) => (inner as Record<string, unknown>)[key], value);
}
