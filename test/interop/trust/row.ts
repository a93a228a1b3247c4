import type { RegistryRepository } from '../../../src/oci/index.js';
import type { Pushed, RuleName, Stage } from './stage.js';

/**
 * One way to get a signature or a pass that the contract forbids (/docs/reference/rules.md), and its twin: the same push without the attack,
 * which must be promoted and verified, so that an app that refuses everything fails.
 *
 * To add rows: write `NAME-rows.ts` that exports `const rows: Row[]`, and add it to the list in ../trust.test.ts. A row has two
 * repositories to itself, one for the attack and one for the twin; push with ./push.ts. If a row needs a rule of its own, add it
 * to `Stage.start` and to `RuleName`.
 */
export interface Row {
  /** What the contract demands, as a statement that can be true or false: the name of the test. */
  statement: string;
  /** The rule that promotes it; `open`, which demands no signature, by default. */
  rule?: RuleName;
  /** Pushes the attack. `at` is the repository in the source registry, `name` what it is called there. */
  attack(stage: Stage, at: RegistryRepository, name: string): Promise<Omit<Pushed, 'repository'>>;
  /** Checks what became of the attack: `stage.expectRefused`, or what it must look like in staging. */
  demand(stage: Stage, pushed: Pushed): Promise<void>;
  /** Pushes what differs from the attack only in that it is none. */
  twin(stage: Stage, at: RegistryRepository, name: string): Promise<Omit<Pushed, 'repository'>>;
  /** What the twin must be in staging, beside promoted and signed. */
  verifyTwin?: (stage: Stage, pushed: Pushed) => Promise<void>;
}

/** Pushes a row's attack and twin, and checks both. */
export async function checkRow(stage: Stage, row: Row, name: string): Promise<void> {
  const push = async (which: 'attack' | 'twin'): Promise<Pushed> => {
    const repository = `${row.rule ?? 'open'}/${name}/${which}`;
    return { repository, ...(await row[which](stage, stage.source(repository), repository)) };
  };
  // The attack comes first: what it leaves behind must not spoil the twin.
  const attack = await push('attack');
  const twin = await push('twin');
  // Of a rule that signs nothing, notation verifies nothing.
  if (row.rule !== 'unsigned') await stage.expectPromoted(twin);
  await row.verifyTwin?.(stage, twin);
  await row.demand(stage, attack);
}
