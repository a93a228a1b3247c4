import { randomUUID } from 'node:crypto';
import { ACTIVE_MS, type RateSharing } from '../oci/index.js';
import { encodeKey } from './table-keys.js';
import type { ReadEntity, TableRows } from './table-rows.js';

/** Rows of one registry and category that are read, and rows of processes that are gone that one call removes. */
const MOST_PROCESSES = 1_000;
const MOST_REMOVED = 10;
/** A process whose row has been old for so long is gone, in milliseconds. */
const GONE_MS = 60 * 60_000;

/**
 * A row for each process that asks much: `rate|<host>|<category>`, row key: the process. What counts is the table service's own
 * time of each row, so that no host's clock does.
 */
export function tableRateSharing(rows: TableRows, processId: string = randomUUID()): RateSharing {
  return {
    async join(host, category) {
      const partition = `rate|${encodeKey(host)}|${category}`;
      await rows.put(partition, processId, category);
      const all = await rows.rowsAfter(partition, '', MOST_PROCESSES);
      const nowMs = Math.max(...all.map(writtenAt));
      const gone = all.filter((row) => nowMs - writtenAt(row) > GONE_MS).slice(0, MOST_REMOVED);
      await Promise.all(gone.map(({ rowKey, etag }) => rows.remove(partition, rowKey, etag)));
      return all.filter((row) => nowMs - writtenAt(row) <= ACTIVE_MS).length;
    },
  };
}

function writtenAt({ properties: { timestamp } }: ReadEntity): number {
  return typeof timestamp === 'string' ? Date.parse(timestamp) : 0;
}
