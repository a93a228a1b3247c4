import { readFileSync } from 'node:fs';
import Module from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigurationError } from '../../src/oci/index.js';
import type { Binding, FunctionCallback, FunctionMetadata, HookCallback, ProgrammingModel } from './core.js';
import { log } from './log.js';
import type { LogLevel } from './log.js';
import { unsupported } from './unsupported.js';

/** A function registered by the app. */
export interface AppFunction {
  name: string;
  metadata: FunctionMetadata;
  callback: FunctionCallback;
  /** Name and options of the trigger's binding. */
  triggerName: string;
  trigger: Binding;
}

/** The loaded app. One per process, because `@azure/functions` keeps one registry. */
export interface App {
  functions: AppFunction[];
  model: ProgrammingModel;
  /** Runs the hooks that the app registered with `app.hook.appStart` or `appTerminate`. */
  runHooks(name: 'appStart' | 'appTerminate'): Promise<void>;
}

const TRIGGERS = new Set([
  'httpTrigger',
  'eventGridTrigger',
  'timerTrigger',
  'queueTrigger',
  'activityTrigger',
  'orchestrationTrigger',
]);

/**
 * @throws ConfigurationError `LOCAL_HOST_UNSUPPORTED` for a trigger, binding or option that this host does not support
 */
export function toFunction(metadata: FunctionMetadata, callback: FunctionCallback): AppFunction {
  let found: { name: string; binding: Binding } | undefined;
  for (const [name, binding] of Object.entries(metadata.bindings)) {
    if (/trigger$/i.test(binding.type)) {
      if (!TRIGGERS.has(binding.type)) {
        throw unsupported(`the trigger ${binding.type} (function ${metadata.name})`);
      }
      found = { name, binding };
    } else if (binding.direction === 'in' ? binding.type !== 'durableClient' : binding.type !== 'http') {
      throw unsupported(`the ${binding.direction}put binding ${binding.type} (function ${metadata.name})`);
    }
  }
  if (metadata.retryOptions !== undefined) {
    throw unsupported(`the option retry (function ${metadata.name})`);
  }
  if (found === undefined) {
    throw unsupported(`a function without a trigger (${metadata.name})`);
  }
  return { name: metadata.name, metadata, callback, triggerName: found.name, trigger: found.binding };
}

/** The file that `main` in package.json names. */
function entryPoint(dir: string): string {
  let main: unknown;
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
    main = typeof manifest === 'object' && manifest !== null && 'main' in manifest ? manifest.main : undefined;
  } catch (error) {
    throw new ConfigurationError('APP_NOT_FOUND', `no app in ${dir}: its package.json cannot be read`, {
      cause: error,
      remedy: 'Set --app to the app’s folder.',
    });
  }
  if (typeof main !== 'string') {
    throw new ConfigurationError('APP_NOT_FOUND', `package.json of ${dir} has no "main"`, {
      remedy: 'Set "main" to the file that registers the functions.',
    });
  }
  if (/[*{]/.test(main)) {
    throw unsupported(`a pattern as "main" (${main})`);
  }
  return join(dir, main);
}

/**
 * Loads the app in `dir` with its own node_modules; this process acts as its host.
 * @throws whatever the app throws while loading; ConfigurationError `APP_NOT_FOUND`, `APP_EMPTY`, `FUNCTION_TWICE`,
 * `LOCAL_HOST_UNSUPPORTED`
 */
export async function loadApp(dir: string): Promise<App> {
  const functions: AppFunction[] = [];
  const hooks: { name: string; callback: HookCallback }[] = [];
  let model: ProgrammingModel | undefined;
  const core = {
    version: '3.9.1',
    hostVersion: '4.1037.0',
    Disposable: class {
      readonly dispose: () => void;
      constructor(dispose: () => void) {
        this.dispose = dispose;
      }
    },
    setProgrammingModel: (given: ProgrammingModel): void => {
      model = given;
    },
    getProgrammingModel: (): ProgrammingModel | undefined => model,
    registerHook(name: string, callback: HookCallback): unknown {
      if (name !== 'appStart' && name !== 'appTerminate') {
        throw unsupported(`the hook ${name}`);
      }
      hooks.push({ name, callback });
      return new core.Disposable(() => undefined);
    },
    registerFunction(metadata: FunctionMetadata, callback: FunctionCallback): unknown {
      if (functions.some((fn) => fn.name.toLowerCase() === metadata.name.toLowerCase())) {
        throw new ConfigurationError('FUNCTION_TWICE', `the app registers the function ${metadata.name} twice`, {
          remedy: 'Give each function a unique name; upper and lower case are the same.',
        });
      }
      functions.push(toFunction(metadata, callback));
      return new core.Disposable(() => undefined);
    },
    log: (level: LogLevel, category: string, message: string): void => log(level, category, message),
  };

  // @azure/functions asks for this module at run time, and there is no such package: its host is expected to answer.
  // oxlint-disable-next-line typescript/unbound-method -- it is called with the module that it was called on
  const original = Module.prototype.require;
  Module.prototype.require = function require(this: NodeJS.Module, id: string): unknown {
    return id === '@azure/functions-core' ? core : Reflect.apply(original, this, [id]);
  } as NodeJS.Require;

  await import(pathToFileURL(entryPoint(dir)).href);
  if (model === undefined || functions.length === 0) {
    throw new ConfigurationError('APP_EMPTY', `the app in ${dir} registered no function`, {
      remedy: 'Call app.* of @azure/functions in its "main" file while it loads.',
    });
  }
  const capabilities = await model.getCapabilities({});
  if (capabilities['HttpUri'] !== undefined) {
    throw unsupported('HTTP streams (app.setup({ enableHttpStream: true }))');
  }
  return {
    functions,
    model,
    async runHooks(name) {
      for (const hook of hooks.filter((hook) => hook.name === name)) {
        await hook.callback({ hookData: {}, appHookData: {} });
      }
    },
  };
}
