import { app, type HttpResponseInit } from '@azure/functions';

/** Something that is wrong, and what to do about it. Never the value of a setting. */
export interface StatusProblem {
  code: string;
  message: string;
  remedy?: string;
  /** The setting that it is about. */
  setting?: string;
}

/** What the app is, whether it works or not. */
export interface AppIdentity {
  version: string;
  /** Names of the settings that are set; no values. */
  settings: readonly string[];
}

/** The answer of `GET status`. */
export interface Status extends AppIdentity {
  /** False where something is wrong. */
  ok: boolean;
  problems: readonly StatusProblem[];
  /** What is not wrong yet, or is a person's to look at. */
  warnings: readonly StatusProblem[];
}

/** `GET status`, with a function key: what is wrong, all of it at once. */
export function registerStatus(status: () => Promise<Status>): void {
  app.http('status', {
    methods: ['GET'],
    authLevel: 'function',
    route: 'status',
    handler: async (): Promise<HttpResponseInit> => ({ jsonBody: await status() }),
  });
}
