import type { StatusProblem } from './functions/http/status.js';
import { ConfigurationError, describeError } from './oci/index.js';
import type { SettingProblem } from './settings.js';

/** Collects everything that prevents the app from working, so that all of it can be reported at once. */
export class LoadProblems {
  readonly list: StatusProblem[];

  constructor(ofSettings: readonly SettingProblem[]) {
    this.list = ofSettings.map(({ setting, message }) =>
      problemOf(
        setting,
        new ConfigurationError('SETTINGS_INVALID', message, {
          remedy:
            'Correct this setting (docs/reference/settings.md). No message is handled until all settings are valid.',
        }),
      ),
    );
  }

  /** Runs one part of the loading. @returns undefined if it fails; the error is recorded as a problem of `setting` */
  async collect<T>(setting: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.list.push(problemOf(setting, error));
      return undefined;
    }
  }
}

function problemOf(setting: string, error: unknown): StatusProblem {
  const { code, message, remedy } = describeError(error);
  return { code, message, remedy, setting };
}
