import { registerRoute } from './register-route.js';

/** A problem, and what to do about it. It never holds the value of a setting. */
export interface StatusProblem {
  code: string;
  message: string;
  remedy?: string | undefined;
  /** The name of the setting with the problem. */
  setting?: string;
}

/** The version of the app and the names of its settings. */
export interface AppIdentity {
  version: string;
  /** Names of the settings that are set, without their values. */
  settings: readonly string[];
}

/** The answer of `GET status`. */
export interface Status extends AppIdentity {
  /** False if there are problems. */
  ok: boolean;
  problems: readonly StatusProblem[];
  /** What may become a problem or needs a person's action. */
  warnings: readonly StatusProblem[];
}

/** `GET status`, with a function key: all problems at once. */
export function registerStatus(status: () => Promise<Status>): void {
  registerRoute('status', 'GET', 'status', async () => ({ jsonBody: await status() }));
}
