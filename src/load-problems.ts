import type { StatusProblem } from './functions/http/status.js';
import { ConfigurationError, describeError } from './oci/index.js';
import type { SettingProblem } from './settings.js';

/** What keeps the app from working, found piece by piece, so that all of it can be told at once. */
export class LoadProblems {
  readonly list: StatusProblem[];

  constructor(ofSettings: readonly SettingProblem[]) {
    this.list = ofSettings.map(({ setting, message }) =>
      problemOf(
        setting,
        new ConfigurationError('SETTINGS_INVALID', message, {
          remedy: 'Correct this setting (docs/settings.md); nothing is consumed until all of them can be read.',
        }),
      ),
    );
  }

  /** Does one piece of the loading. @returns undefined where it fails: the failure is noted as a problem of `setting`. */
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
  return { code, message, ...(remedy !== undefined && { remedy }), setting };
}
