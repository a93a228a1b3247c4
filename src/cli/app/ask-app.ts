import type { Command } from 'commander';
import { ConfigurationError, InputError, isLoopback, PromoterError, TransportError } from '../../oci/index.js';
import type { Io } from '../io.js';
import { PROBLEMS_IN_MESSAGE } from '../../messages/problems.js';
import { onTerminal } from '../output/status-line.js';
import { textOf, type Values } from '../verb.js';
import { localAppUrl } from './find-local-app.js';

/** The deployed app. */
export interface App {
  /** Without a slash at the end. */
  url: string;
  key?: string;
}

const REQUEST_MS = 60_000;

export function addAppOptions(command: Command): void {
  command
    .option(
      '--app <url>',
      'URL of the app, such as https://myapp.azurewebsites.net (default: $ACR_PROMOTER_APP, or the app that npm start runs)',
    )
    .option(
      '--key <key>',
      'function key of the app; prefer $ACR_PROMOTER_KEY, which other users of this machine cannot see',
    );
}

/** @throws ConfigurationError `APP_MISSING`, `APP_INVALID` */
export function appOf(values: Values, io: Io): App {
  const named = textOf(values, 'app') ?? (io.env.ACR_PROMOTER_APP || undefined);
  const text = named ?? (io.folder === undefined ? undefined : localAppUrl(io.folder));
  if (text === undefined) {
    throw new ConfigurationError('APP_MISSING', 'no address of an app is given', {
      remedy:
        'Give the address of the app with --app, or in ACR_PROMOTER_APP. To use the app of npm start, run the command in the folder where you ran npm start.',
    });
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
  if (url === undefined || !isSafe || url.username !== '' || url.password !== '' || url.search !== '') {
    throw new ConfigurationError('APP_INVALID', 'the address of the app is not safe for a key', {
      remedy: 'Write it as https://<host>, without user, password and query. Use http only for an app on this machine.',
    });
  }
  const key = textOf(values, 'key') ?? io.env.ACR_PROMOTER_KEY;
  return {
    url: `${url.origin}${url.pathname}`.replace(/\/+$/, ''),
    ...(key !== undefined && key !== '' && { key }),
  };
}

/**
 * Sends a request to the app.
 * @throws InputError with the problems that the app reports; ConfigurationError `APP_DENIED`; PromoterError
 * `APP_FAILED`; TransportError `APP_UNREACHABLE`
 */
export async function askApp(app: App, path: string, io: Io, body?: string): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${app.url}/api/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(app.key !== undefined && { 'x-functions-key': app.key }),
      },
      ...(body !== undefined && { body }),
      // A redirect would send the key to another host.
      redirect: 'error',
      signal: AbortSignal.any([io.signal, AbortSignal.timeout(REQUEST_MS)]),
    });
    text = await response.text();
  } catch (cause) {
    io.signal.throwIfAborted();
    throw new TransportError('APP_UNREACHABLE', `${app.url} does not answer`, {
      cause,
      remedy: 'Check the address, and that the app runs (GET /api/health).',
    });
  }
  const value = parsed(text);
  if (response.ok) return value;
  const { readError } = await import('./answers.js');
  const said = readError(value);
  if (said !== undefined) {
    const { problems } = said;
    // The message has the first problems.
    if (problems.length > PROBLEMS_IN_MESSAGE)
      for (const { path: at, message } of problems) io.err(onTerminal(`${at === '' ? 'job' : at}: ${message}`) + '\n');
    throw new InputError(said.code, said.message, {
      details: { problems },
      ...(said.remedy !== undefined && { remedy: said.remedy }),
    });
  }
  if (response.status === 401 || response.status === 403) {
    throw new ConfigurationError('APP_DENIED', `${app.url} refuses the key`, {
      remedy: 'Give the function key with --key or in ACR_PROMOTER_KEY (az functionapp keys list).',
    });
  }
  throw new PromoterError('APP_FAILED', `${app.url} answered ${response.status}`, {
    transient: response.status >= 500,
    remedy: 'See the log of the app.',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
