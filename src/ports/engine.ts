export type EngineState = 'missing' | 'pending' | 'running' | 'ended';

/** Durable Functions, and nothing more of it than this. */
export interface Engine {
  /**
   * Starts an orchestration, at its present version, under the run's id. An instance that has not ended is left alone; one that has
   * ended is started over, and its history is lost: the first step must refuse a run whose row has ended.
   */
  start(orchestration: 'promote' | 'runJob', id: string, input: object): Promise<void>;
  state(id: string): Promise<{ state: EngineState; createdAt?: string }>;
  /** Raises an external event; does nothing where the instance has ended or isn't there. */
  notify(id: string, event: string): Promise<void>;
  /** Forgets an instance that has ended, and its history; does nothing where it isn't there. */
  purge(id: string): Promise<void>;
  /** Forgets the instances that were made within a time and have ended. @returns how many */
  purgeEnded(from: Date, to: Date): Promise<number>;
}
