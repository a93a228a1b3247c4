import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { tableRateSharing } from '../../../src/azure/table-rate-sharing.js';
import { TableRows } from '../../../src/azure/table-rows.js';
import { startAzurite, type Azurite } from '../../support/azurite.js';

const HOST = 'r.azurecr.io';
let azurite: Azurite;
let client: TableClient;
/** How far the service's time is ahead of the rows' times. */
let ageMs: number;

beforeAll(async () => {
  azurite = await startAzurite();
  client = TableClient.fromConnectionString(azurite.newAccount(), 'rates', { allowInsecureConnection: true });
  await client.createTable();
});
afterAll(() => azurite.stop());

/** Makes the rows older, except the row of the calling process. */
class Aged extends TableRows {
  readonly #own: string;
  constructor(own: string) {
    super(client, () => {});
    this.#own = own;
  }
  override async rowsAfter(...query: Parameters<TableRows['rowsAfter']>): ReturnType<TableRows['rowsAfter']> {
    const rows = await super.rowsAfter(...query);
    return rows.map((row) => {
      const timestamp = new Date(Date.parse(String(row.properties['timestamp'])) - ageMs).toISOString();
      return row.rowKey === this.#own ? row : { ...row, properties: { ...row.properties, timestamp } };
    });
  }
}
const join = (name: string): Promise<number> => tableRateSharing(new Aged(name), name).join(HOST, 'referrers');

test('counts the processes that joined in the last 90 seconds and removes ended ones', async () => {
  ageMs = 0;
  for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) expect(await join(name)).toBe(index + 1);
  expect(await join('a')).toBe(4);
  expect(await tableRateSharing(new Aged('a'), 'a').join(HOST, 'read')).toBe(1);
  expect(await tableRateSharing(new Aged('a'), 'a').join('other.azurecr.io', 'referrers')).toBe(1);
  ageMs = 80_000;
  expect(await join('a')).toBe(4);
  ageMs = 100_000;
  expect(await join('a')).toBe(1);
  ageMs = 3_700_000;
  expect(await join('a')).toBe(1);
  ageMs = 0;
  expect(await join('a')).toBe(1);
});
