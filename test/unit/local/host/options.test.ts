import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppFunction } from '../../../../local/host/app.js';
import { findRoute, sortRoutes, toRoute } from '../../../../local/host/http/routes.js';
import { expand, parseOptions, readHostFile } from '../../../../local/host/options.js';

const coded = (code: string) => expect.objectContaining({ code });

describe('options and host.json', () => {
  test('options have defaults and are checked', () => {
    expect(parseOptions([])).toMatchObject({ port: 7071, keys: false, chaos: undefined, visibilityMs: undefined });
    expect(parseOptions(['--port', '0', '--chaos', '7', '--keys'])).toMatchObject({ port: 0, chaos: 7, keys: true });
    expect(parseOptions([]).lies.map(({ name }) => name)).toEqual([
      'repeat',
      'kill',
      'fail-turn',
      'fail-activity',
      'hang',
    ]);
    expect(parseOptions(['--lies', 'kill,fail-turn,hang:onJobMessage@3']).lies).toEqual([
      { name: 'kill' },
      { name: 'fail-turn' },
      { name: 'hang', of: 'onJobMessage', chance: 3 },
    ]);
    for (const args of [
      ['--port', '70000'],
      ['--port', '1.5'],
      ['--unknown'],
      ['--chaos', '-1'],
      ['--function-timeout-ms', '99'],
      ['--lies', ''],
      ['--lies', 'truth'],
      ['--lies', 'hang@0'],
      ['--lies', 'kill@2'],
      ['--visibility-ms', '99'],
      ['stray'],
    ]) {
      expect(() => parseOptions(args)).toThrow(coded('BAD_OPTION'));
    }
  });

  test('host.json is parsed with time spans and defaults, and mistakes are reported', () => {
    const app = mkdtempSync(join(tmpdir(), 'local-host-'));
    const write = (value: unknown) => writeFileSync(join(app, 'host.json'), JSON.stringify(value));
    write({ version: '2.0', functionTimeout: '1.00:00:01', extensions: { queues: { visibilityTimeout: '00:00:30' } } });
    expect(readHostFile(app)).toMatchObject({
      functionTimeout: 86_401_000,
      extensions: {
        http: { routePrefix: 'api' },
        queues: { visibilityTimeout: 30_000, maxDequeueCount: 5, batchSize: 16 },
        durableTask: {
          maxConcurrentActivityFunctions: 10,
          storageProvider: { controlQueueVisibilityTimeout: 300_000, workItemQueueVisibilityTimeout: 300_000 },
        },
      },
    });
    write({ functionTimeout: '-1' });
    expect(readHostFile(app).functionTimeout).toBe(0);
    write({ extensions: { queues: { batchSize: 33 } } });
    expect(() => readHostFile(app)).toThrow(coded('BAD_SETTINGS'));
    for (const name of ['controlQueueVisibilityTimeout', 'workItemQueueVisibilityTimeout']) {
      write({ extensions: { durableTask: { storageProvider: { [name]: '00:01:00' } } } });
      expect(readHostFile(app).extensions.durableTask.storageProvider).toMatchObject({ [name]: 60_000 });
      write({ extensions: { durableTask: { storageProvider: { [name]: '00:00:59' } } } });
      expect(() => readHostFile(app)).toThrow(coded('BAD_SETTINGS'));
    }
    expect(() => readHostFile(join(app, 'none'))).toThrow(coded('BAD_SETTINGS'));
  });

  test('%NAME% is replaced by a setting', () => {
    expect(expand('a-%X%-%Y%', { X: '1', Y: '' })).toBe('a-1-');
    expect(() => expand('%Z%', {})).toThrow(coded('SETTING_MISSING'));
  });
});

describe('routes', () => {
  const route = (name: string, path: string, methods = ['GET']) => {
    const fn: AppFunction = {
      name,
      metadata: { name, bindings: {} },
      callback: () => undefined,
      triggerName: 'http',
      trigger: { type: 'httpTrigger', direction: 'in', route: path, methods },
    };
    return toRoute(fn, 'api');
  };
  const routes = sortRoutes([
    route('rest', 'runs/{*rest}'),
    route('cancel', 'runs/{id}/cancel', ['POST']),
    route('run', 'runs/{id}'),
    route('latest', 'runs/latest'),
    route('maybe', 'maybe/{id?}'),
  ]);
  const find = (method: string, path: string) => {
    const found = findRoute(routes, method, path);
    return found === undefined ? undefined : [found.fn.name, found.params];
  };

  test('select a function by path and method', () => {
    expect(find('GET', '/api/runs/latest')).toEqual(['latest', {}]);
    expect(find('GET', '/api/runs/a%2Fb')).toEqual(['run', { id: 'a/b' }]);
    expect(find('POST', '/api/runs/x/cancel')).toEqual(['cancel', { id: 'x' }]);
    expect(find('GET', '/api/runs/x/cancel')).toEqual(['rest', { rest: 'x/cancel' }]);
    expect(find('GET', '/api/maybe')).toEqual(['maybe', {}]);
    expect(find('GET', '/api/maybe/1')).toEqual(['maybe', { id: '1' }]);
    expect(find('GET', '/runs/latest')).toBeUndefined();
    expect(find('DELETE', '/api/runs/latest')).toBeUndefined();
  });

  test.each(['a/{id:int}', 'a/x{id}', 'a/{id=1}'])('%s is refused by name', (path) => {
    expect(() => route('f', path)).toThrow(coded('LOCAL_HOST_UNSUPPORTED'));
  });
});
