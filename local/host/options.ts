import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { ConfigurationError } from '../../src/oci/index.js';
import { parseLies } from './chaos.js';
import type { Lie } from './chaos.js';

export interface HostOptions {
  /** The app's folder. */
  app: string;
  /** 0: any free one. */
  port: number;
  dataDir: string;
  settings: string | undefined;
  /** If true, functions with authLevel `function` require a key. */
  keys: boolean;
  /** Seed of the injected faults; undefined: no faults. */
  chaos: number | undefined;
  /** The faults to inject. `kill` needs a parent that starts the host again. */
  lies: readonly Lie[];
  /** Time limit of a function; undefined: from host.json. */
  functionTimeoutMs: number | undefined;
  /** How long a turn or activity stays locked without a sign of life; undefined: from host.json. */
  visibilityMs: number | undefined;
  /** How long a queue message stays locked without a sign of life. The real host has 600,000. */
  queueLockMs: number;
  /** How long SIGTERM waits for running functions. */
  graceMs: number;
}

function badOption(message: string, cause?: unknown): ConfigurationError {
  return new ConfigurationError('BAD_OPTION', message, {
    cause,
    remedy:
      'Options: --app DIR --port N --data-dir DIR --settings FILE --keys --chaos SEED --lies NAME,… --function-timeout-ms N ' +
      '--visibility-ms N --queue-lock-ms N --grace-ms N.',
  });
}

function text(value: string) {
  return { type: 'string', default: value } as const;
}

function whole(name: string, value: string, least: number, most: number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < least || number > most) {
    throw badOption(`--${name} ${value} is not a whole number from ${least} to ${most}`);
  }
  return number;
}

/** @throws ConfigurationError `BAD_OPTION` */
export function parseOptions(args: string[]): HostOptions {
  let values;
  try {
    values = parseArgs({
      args,
      options: {
        app: text('.'),
        port: text('7071'),
        'data-dir': { type: 'string' },
        settings: { type: 'string' },
        keys: { type: 'boolean', default: false },
        chaos: { type: 'string' },
        lies: { type: 'string' },
        'function-timeout-ms': { type: 'string' },
        'visibility-ms': { type: 'string' },
        'queue-lock-ms': text('10000'),
        'grace-ms': text('5000'),
      },
    }).values;
  } catch (error) {
    throw badOption(error instanceof Error ? error.message : String(error), error);
  }
  const app = resolve(values.app);
  const day = 86_400_000;
  return {
    app,
    port: whole('port', values.port, 0, 65_535),
    dataDir: resolve(values['data-dir'] ?? join(app, '.local', 'host')),
    settings: values.settings,
    keys: values.keys,
    chaos: values.chaos === undefined ? undefined : whole('chaos', values.chaos, 0, 2 ** 31),
    lies: parseLies(values.lies),
    functionTimeoutMs:
      values['function-timeout-ms'] === undefined
        ? undefined
        : whole('function-timeout-ms', values['function-timeout-ms'], 100, day),
    visibilityMs:
      values['visibility-ms'] === undefined ? undefined : whole('visibility-ms', values['visibility-ms'], 100, day),
    queueLockMs: whole('queue-lock-ms', values['queue-lock-ms'], 1000, day),
    graceMs: whole('grace-ms', values['grace-ms'], 0, day),
  };
}

/** Parses `[d.]hh:mm:ss[.fff]`, a .NET time span, into milliseconds. */
const timeSpan = z
  .string()
  .regex(/^(\d+\.)?\d{1,2}:\d{2}:\d{2}(\.\d+)?$/, 'expected hh:mm:ss')
  .transform((text) => {
    const [, days = '0', hours = '0', minutes = '0', seconds = '0'] =
      /^(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)$/.exec(text) ?? [];
    return (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  });

/** The real host does not start with less than a minute. */
const visibilityTimeout = timeSpan
  .refine((ms) => ms >= 60_000 && ms <= 3_600_000, 'expected 00:01:00 to 01:00:00')
  .default(300_000);

const hostFileSchema = z.object({
  functionTimeout: z.union([timeSpan, z.literal('-1').transform(() => 0)]).default(1_800_000),
  extensions: z
    .object({
      http: z.object({ routePrefix: z.string().default('api') }).prefault({}),
      queues: z
        .object({
          visibilityTimeout: timeSpan.default(0),
          maxPollingInterval: timeSpan.default(60_000),
          maxDequeueCount: z.int().min(1).default(5),
          batchSize: z.int().min(1).max(32).default(16),
          messageEncoding: z.enum(['base64', 'none']).default('base64'),
        })
        .prefault({}),
      durableTask: z
        .object({
          hubName: z.string().default('TestHubName'),
          maxConcurrentActivityFunctions: z.int().min(1).default(10),
          storageProvider: z
            .object({
              controlQueueVisibilityTimeout: visibilityTimeout,
              workItemQueueVisibilityTimeout: visibilityTimeout,
            })
            .prefault({}),
        })
        .prefault({}),
    })
    .prefault({}),
});

/** The parts of the app's host.json that this host uses, with the real host's defaults. Times in milliseconds. */
export type HostFile = z.infer<typeof hostFileSchema>;

function readJson(path: string, what: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigurationError('BAD_SETTINGS', `${what} ${path} cannot be read as JSON`, {
      cause: error,
      remedy: `Correct the file, or use another ${what}.`,
    });
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  const result = schema.safeParse(value);
  if (!result.success) {
    throw new ConfigurationError('BAD_SETTINGS', `${path}: ${z.prettifyError(result.error)}`, {
      remedy: `Mend ${path}.`,
    });
  }
  return result.data;
}

/** @throws ConfigurationError `BAD_SETTINGS` */
export function readHostFile(app: string): HostFile {
  const path = join(app, 'host.json');
  return parse(hostFileSchema, readJson(path, 'host.json'), path);
}

const settingsSchema = z.object({ Values: z.record(z.string(), z.string()).default({}) });

/** Reads `Values` of a file with the format of local.settings.json. @throws ConfigurationError `BAD_SETTINGS` */
export function readSettings(path: string): Record<string, string> {
  return parse(settingsSchema, readJson(path, 'settings file'), path).Values;
}

/**
 * Replaces `%NAME%` by settings, as the real host does in bindings and host.json.
 * @throws ConfigurationError `SETTING_MISSING`
 */
export function expand(text: string, settings: Record<string, string | undefined>): string {
  return text.replaceAll(/%([^%\s]+)%/g, (_all, name: string) => {
    const value = settings[name];
    if (value === undefined) {
      throw new ConfigurationError('SETTING_MISSING', `%${name}% is used but the setting ${name} is missing`, {
        remedy: `Set ${name} in the environment or the settings file.`,
      });
    }
    return value;
  });
}
