import { afterAll, beforeAll, test } from '@jest/globals';
import { describeWithPeers } from '../support/peers.js';
import { rows as answer } from './trust/answer-rows.js';
import { rows as cost } from './trust/cost-rows.js';
import { rows as gate } from './trust/gate-rows.js';
import { rows as kinds } from './trust/kind-rows.js';
import { rows as list } from './trust/list-rows.js';
import { rows as reading } from './trust/reading-rows.js';
import { checkRow, type Row } from './trust/row.js';
import { shapes } from './trust/shapes.js';
import { rows as signatures } from './trust/signature-rows.js';
import { Stage } from './trust/stage.js';
import { rows as travel } from './trust/travel-rows.js';

/** How to add rows: ./trust/row.ts. */
const all: Record<string, Row[]> = {
  answer,
  cost,
  gate,
  kinds,
  list,
  reading,
  travel,
  signatures,
};

describeWithPeers('what gets our signature, and what passes', ['notation', 'cosign', 'oras'], ([notation = '']) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await Stage.start(notation);
  }, 120_000);

  afterAll(() => stage?.stop(), 60_000);

  for (const [file, rows] of Object.entries(all)) {
    for (const [index, row] of rows.entries())
      test(row.statement, () => checkRow(stage, row, `${file}-${index}`), 300_000);
  }

  test.each(shapes)(
    'it is promoted and verified, and the next run is unchanged: $name',
    async (shape) => {
      const repository = `open/shapes/${shapes.indexOf(shape)}`;
      const pushed = { repository, ...(await shape.push(stage, stage.source(repository), repository)) };
      await stage.expectPromoted(pushed);
      await stage.expectUnchanged(pushed);
    },
    120_000,
  );
});
