import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { FOR_GOOD, PASSING, withoutInvalidNames, type Row } from './trouble/rows.js';
import { Stage, type Ended } from './trouble/stage.js';
import { troublePage } from './trouble/page.js';

// Plays every trouble over HTTP to its end. The troubleshooting page lists the results; WRITE_DOCS=1 writes them.

// Some wait for what the client itself waits for; and machines are shared.
jest.setTimeout(120_000);

const PAGE = 'docs/how-to/troubleshoot.md';
const stage = new Stage();
/** Whose tokens don't live long. */
const hasty = new Stage();
const played = new Map<Row, Ended>();
let restore: (() => void) | undefined;

beforeAll(async () => {
  restore = withoutInvalidNames();
  // Pauses are cut at random; the page is the same each time.
  jest.spyOn(Math, 'random').mockReturnValue(0.5);
  await stage.open();
  await hasty.open({ accessTokenSeconds: 3 });
});
afterAll(async () => {
  restore?.();
  jest.restoreAllMocks();
  await stage.close();
  await hasty.close();
});

async function play(row: Row): Promise<Ended & { expected: string }> {
  let root = '';
  const at = row.hasty === true ? hasty : stage;
  const ended = await at.play(async (scene) => {
    root = scene.graph.root.digest;
    await row.arrange(scene);
  });
  played.set(row, ended);
  const { result, elapsedMs, calls } = ended;
  const { outcome, code, reason } = result;
  // The reason is what a failing test says.
  const expected = { outcome: row.outcome, ...(row.code !== undefined && { code: row.code }) };
  if (outcome !== row.outcome || code !== row.code) expect({ outcome, code, reason }).toEqual(expected);
  expect(elapsedMs).toBeGreaterThanOrEqual(row.tookMs[0]);
  expect(elapsedMs).toBeLessThanOrEqual(row.tookMs[1]);
  expect(calls).toBeLessThanOrEqual(row.calls);
  return { ...ended, expected: root };
}

describe('trouble that passes: the run waits and continues', () => {
  test.each(PASSING.map((row) => [row.what, row] as const))('%s', async (_what, row) => {
    const { standing, report, expected, waiting, elapsedMs } = await play(row);
    expect(standing).toBe(expected);
    expect(report).toBe(row.withoutReport !== true);
    if (elapsedMs > 1_000 && row.meanwhile === undefined)
      expect(waiting).toMatchObject({ state: 'waiting', text: expect.stringMatching(/^[A-Z]| not answering since /) });
  });
});

describe('trouble that stays: the run ends with a code and a remedy', () => {
  test.each(FOR_GOOD.map((row) => [row.what, row] as const))('%s', async (_what, row) => {
    const { standing, result } = await play(row);
    expect(standing).toBeUndefined();
    expect(result.remedy).toMatch(/\w+/);
  });
});

test(`${PAGE} lists what each trouble comes to`, async () => {
  // One row alone (-t) makes no page.
  if (played.size < PASSING.length + FOR_GOOD.length) return;
  const before = await readFile(PAGE, 'utf8');
  const page = troublePage(before, [PASSING, FOR_GOOD], played);
  if (process.env.WRITE_DOCS === '1') await writeFile(PAGE, page);
  else expect(before).toBe(page);
});
