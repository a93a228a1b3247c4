import type { RunOutput } from '../rows/run-row.js';
import { changeRun } from '../rows/row-writes.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';

/** The most bytes of an output in its run's row; a larger output is a document. */
const INLINE_OUTPUT_BYTES = 30_000;

/**
 * Stores a job's output in the run's row. An output over 30 KB becomes a document that the row names. If the run has
 * ended, its output does not change.
 * @throws PromoterError `ROW_CONTENDED` (transient)
 */
export async function keepOutput(
  ports: Pick<Ports, 'documents'> & StorePort<Runs>,
  runId: string,
  value: unknown,
): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(value), 'utf8');
  let output: RunOutput = { kind: 'inline', value };
  if (bytes.length > INLINE_OUTPUT_BYTES) {
    const name = `results/${runId}.json`;
    await ports.documents.put('documents', name, bytes);
    output = { kind: 'document', name, sizeBytes: bytes.length };
  }
  await changeRun(ports.store, runId, (run) => (run.state === 'ended' ? undefined : { ...run, output }));
}
