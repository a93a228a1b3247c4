import { describeError } from '../../oci/index.js';
import type { QueueLengths, QueueName } from '../../ports/queues.js';
import type { Notes } from '../../ports/notes.js';
import { unansweredRegistries } from '../../promotions/unanswered-registries.js';
import { lastTick } from '../../schedule/clock.js';
import { describeSigner, type SignerSource, type SignerStatus } from '../../signing/index.js';
import type { AppIdentity, Status, StatusProblem } from './status.js';

/** Maximum time of all reads, in milliseconds. A read that takes longer is reported as a problem. */
const ASK_MS = 10_000;

export interface RunningStatusPorts {
  identity: AppIdentity;
  /** ALLOWED_REGISTRIES, and how the app logs in to each. */
  registries: readonly { host: string; signIn: 'identity' | 'anonymous' }[];
  /** @throws as `RulesSource.load` does */
  rules: { loaded(): Promise<{ count: number; since: string }> };
  queues: QueueLengths;
  /** Undefined if no key is configured. */
  signing: SignerSource | undefined;
  paused: boolean;
  now: () => Date;
  store: Notes;
}

/** The answer of `GET status` if the app works: a few cheap reads. */
export interface RunningStatus extends Status {
  paused: boolean;
  registries: RunningStatusPorts['registries'];
  /** When the last tick of the schedule ended, and how long ago that was. Absent before the first tick. */
  lastTick: { at: string; ageSeconds: number } | undefined;
  /** Absent if they cannot be read; a problem has the reason. `since`: when this instance first read this version. */
  rules: { count: number; since: string } | undefined;
  /** The signing key. Absent if none is configured, or if it cannot be read; a problem has the reason. */
  signing: SignerStatus | undefined;
  /**
   * Messages in each queue that wait or are processed, as the service estimates. A queue that does not answer is
   * absent.
   */
  backlog: Record<string, number>;
  /** Messages in each poison queue. */
  poison: Record<string, number>;
}

export async function runningStatus(ports: RunningStatusPorts): Promise<RunningStatus> {
  const problems: StatusProblem[] = [];
  const asked = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      const { code, message, remedy } = describeError(error);
      // The same problem of several queues is reported once.
      if (!problems.some((known) => known.code === code)) problems.push({ code, message, remedy });
      return undefined;
    }
  };
  const signal = AbortSignal.timeout(ASK_MS);
  const lengths = async (names: readonly QueueName[]): Promise<Record<string, number>> => {
    const counts = await Promise.all(names.map((name) => asked(ports.queues.length(name, signal))));
    return Object.fromEntries(
      names.flatMap((name, index) => (counts[index] === undefined ? [] : [[name, counts[index]]])),
    );
  };
  const hosts = ports.registries.map(({ host }) => host);
  const [rules, signer, ticked, unanswered, backlog, poison] = await Promise.all([
    asked(ports.rules.loaded()),
    ports.signing && asked(ports.signing.current(signal)),
    asked(lastTick(ports)),
    asked(unansweredRegistries(ports, hosts)),
    lengths(['registry-events', 'jobs']),
    lengths(['registry-events-poison', 'jobs-poison']),
  ]);
  const signing = signer && describeSigner(signer, ports.now());
  return {
    ok: problems.length === 0,
    ...ports.identity,
    problems,
    warnings: [
      ...(unanswered ?? []).map(unansweredWarning),
      ...Object.entries(poison).flatMap(poisonWarning),
      ...(signing?.warnings ?? []),
    ],
    paused: ports.paused,
    registries: ports.registries,
    lastTick: ticked,
    rules,
    signing: signing?.status,
    backlog,
    poison,
  };
}

function unansweredWarning(message: string): StatusProblem {
  return {
    code: 'REGISTRY_NOT_ANSWERING',
    message,
    remedy:
      'Check that the registry runs, and that the app can reach it. Runs that need it wait, and continue when it answers.',
  };
}

function poisonWarning([queue, count]: [string, number]): StatusProblem[] {
  if (count === 0) return [];
  return [
    {
      code: 'MESSAGES_POISONED',
      message: `${queue} holds ${count} ${count === 1 ? 'message' : 'messages'} that could not be handled`,
      remedy:
        'Read the reason in each message of that queue, correct the cause, then delete the message or send it again.',
    },
  ];
}
