import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { z } from 'zod';
import { cancelRun, type CancelAnswer } from '../../rows/cancellation.js';
import type { RunPorts } from '../../ports/run-ports.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import { errorAnswer } from './answers.js';
import { registerRoute } from './register-route.js';

/** One line of text, without control characters. */
function line(characters: number): z.ZodType<string, string> {
  const plain = z.string().transform((text) => text.replace(/\p{Cc}/gu, ' ').trim());
  return plain.pipe(z.string().min(1).max(characters));
}

/** Who asks, and why. */
const bodySchema = z.strictObject({
  by: line(100).default('an unnamed caller'),
  reason: line(500).exactOptional(),
});

/** `POST runs/{id}/cancel`, with `{"by": …, "reason": …}` or without a body. */
export function registerCancelRun(ports: StaticPorts, engineOf: EngineOf): void {
  registerRoute(
    'cancelRun',
    'POST',
    'runs/{id}/cancel',
    (request, context) =>
      answerCancel({ ...ports, engine: engineOf(getClient(context)) }, request.params.id ?? '', request),
    { extraInputs: [input.durableClient()] },
  );
}

/**
 * Answers 202 if the run stops or has stopped, for each request; 409 if it ended in another way; 404 if there is no
 * such run. The run ends within seconds, as `cancelled`, unless its last write was already done.
 */
export async function answerCancel(
  ports: Omit<RunPorts, 'paused'>,
  runId: string,
  request: Pick<HttpRequest, 'text'>,
): Promise<HttpResponseInit> {
  const who = readBody(await request.text());
  if (who === undefined) {
    return errorAnswer(400, 'REQUEST_INVALID', 'the body does not have the form {"by": "…", "reason": "…"}');
  }
  const answer = await cancelRun(ports, runId, who);
  switch (answer.state) {
    case 'unknown':
      return errorAnswer(404, 'RUN_UNKNOWN', `there is no run ${runId}`, {
        remedy: 'List open runs: acr-promoter runs. A job is cancelled by its own id: acr-promoter jobs cancel ID',
      });
    case 'ended':
      return errorAnswer(409, 'RUN_ENDED', endedText(runId, answer), {
        remedy:
          answer.next === undefined
            ? 'No action needed: a run that has ended changes nothing more.'
            : `To stop the next run, cancel it: acr-promoter runs cancel ${answer.next}`,
      });
    case 'accepted': {
      const statusUrl = `/api/runs/${runId}`;
      return { status: 202, headers: { location: statusUrl }, jsonBody: { runId, cancel: answer.cancel, statusUrl } };
    }
  }
}

function endedText(runId: string, { result, next }: Extract<CancelAnswer, { state: 'ended' }>): string {
  const text = `run ${runId} has ended: ${result?.outcome ?? 'without a result'}`;
  return next === undefined ? text : `${text}; the next run, ${next}, is open`;
}

function readBody(text: string): z.infer<typeof bodySchema> | undefined {
  if (text.length > 4096) return undefined;
  try {
    return bodySchema.safeParse(text.trim() === '' ? {} : JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
