import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../../src/oci/index.js';
import { parseRules } from '../../src/rules/rules-file.js';
import type { Rule } from '../../src/rules/rule.js';

/** Rules as the app gets them, and as it will read them. */
export interface LocalRules {
  /** For PROMOTION_RULES: the path of the user's file, or JSON. */
  setting: string;
  rules: readonly Rule[];
}

/**
 * The user's rules, read before anything is started; or our own: every tag of `samples/**` goes to `staging/{repository}`.
 * @throws ConfigurationError `RULES_UNREADABLE`; InputError `RULES_INVALID`, `RULES_CYCLE`
 */
export async function localRules(path: string | undefined, source: string, staging: string): Promise<LocalRules> {
  if (path !== undefined) {
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new ConfigurationError('RULES_UNREADABLE', `the rules ${path} cannot be read`, {
        cause,
        remedy: 'Name a file that is there with --rules.',
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
