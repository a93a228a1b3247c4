import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../../src/oci/index.js';
import { parseRules } from '../../src/rules/rules-file.js';
import type { Rule } from '../../src/rules/rule.js';

/** Rules as the app gets them and as it will parse them. */
export interface LocalRules {
  /** The value of PROMOTION_RULES: the path of the user's file, or JSON. */
  setting: string;
  rules: readonly Rule[];
}

/**
 * Reads the user's rules before anything is started; or the default rules: every tag of `samples/**` goes to
 * `staging/{repository}`.
 * @throws ConfigurationError `RULES_UNREADABLE`; InputError `RULES_INVALID`, `RULES_CYCLE`
 */
export async function localRules(path: string | undefined, source: string, staging: string): Promise<LocalRules> {
  if (path !== undefined) {
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new ConfigurationError('RULES_UNREADABLE', `the rules ${path} cannot be read`, {
        cause,
        remedy: 'Set --rules to an existing file.',
      });
    });
    return { setting: path, rules: parseRules(text, path).rules };
  }
  const setting = JSON.stringify({
    rules: [
      {
        name: 'local',
        existing: 'promote',
        source: { registry: source, repositories: ['samples/**'] },
        destination: { reference: `${staging}/staging/{repository}:{tag}` },
      },
    ],
  });
  return { setting, rules: parseRules(setting, 'the local rules').rules };
}
