import { randomUUID } from 'node:crypto';
import { ACTIVE_MS, type RateSharing } from '../oci/index.js';
import { encodeKey } from './table-keys.js';
import type { ReadEntity, TableRows } from './table-rows.js';

/** The most rows read for one registry and category, and the most rows of ended processes removed by one call. */
const MOST_PROCESSES = 1_000;
const MOST_REMOVED = 10;
/** If a process's row is older than this, the process has ended. Milliseconds. */
const GONE_MS = 60 * 60_000;

/**
 * One row for each process that sends many requests: partition `rate|<host>|<category>`, row key: the process. Uses
 * only the table service's timestamps, so that wrong clocks of hosts do not matter.
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
