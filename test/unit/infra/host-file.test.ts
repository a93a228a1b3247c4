import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';

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

/** `a.b.c` of every value that is not an object. */
function paths(value: unknown, prefix = ''): string[] {
  if (typeof value !== 'object' || value === null) return [prefix];
  return Object.entries(value).flatMap(([key, inner]) => paths(inner, prefix === '' ? key : `${prefix}/${key}`));
}

describe('host.json', () => {
  test('the versions that Durable Functions wants', () => {
    expect(host.version).toBe('2.0');
    expect(host.extensionBundle).toEqual({
      id: 'Microsoft.Azure.Functions.ExtensionBundle',
      version: '[4.32.0, 5.0.0)',
    });
  });

  test('an activity, which works nine minutes at most, fits; one whose worker died is given up soon after', () => {
    expect(seconds(host.functionTimeout)).toBe(10 * 60);
  });

  test('queues: five tries, half a minute apart; the app itself reads what comes, base64 or not', () => {
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

  test('orchestrations: a hub name that every store takes, few at once, polled for within ten seconds', () => {
    const { durableTask } = host.extensions;
    expect(durableTask['hubName']).toMatch(/^[A-Za-z][A-Za-z0-9]{2,44}$/);
    expect(durableTask['maxConcurrentActivityFunctions']).toBe(4);
    expect(durableTask['maxConcurrentOrchestratorFunctions']).toBe(4);
    expect(durableTask.storageProvider).toMatchObject({ type: 'AzureStorage', partitionCount: 4 });
    expect(seconds(durableTask.storageProvider['maxQueuePollingInterval'])).toBeLessThanOrEqual(10);
    // Less than a minute, and the host does not start; more, and an instance that stops delays its work for longer.
    expect(seconds(durableTask.storageProvider['controlQueueVisibilityTimeout'])).toBe(60);
    expect(seconds(durableTask.storageProvider['workItemQueueVisibilityTimeout'])).toBe(60);
    expect(durableTask['tracing']).toEqual({ traceInputsAndOutputs: false, traceReplayEvents: false });
  });

  test('no setting that is missing keeps the app from starting', () => {
    expect(text).not.toContain('%');
  });

  test('routes are those that the README names', () => {
    expect(host.extensions.http.routePrefix).toBe('api');
  });

  test('docs/reference/settings.md explains every value', () => {
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
