export type EngineState = 'missing' | 'pending' | 'running' | 'ended';

/** The part of Durable Functions that this app uses. */
export interface Engine {
  /**
   * Starts an orchestration, in its current version, under the run's id. Does nothing if the instance is running. An
   * instance that has ended starts again and loses its history, so the first step must refuse a run whose row has
   * ended.
   */
  start(orchestration: 'promote' | 'runJob', id: string, input: object): Promise<void>;
  state(id: string): Promise<{ state: EngineState; createdAt?: string }>;
  /** Raises an external event. Does nothing if the instance has ended or does not exist. */
  notify(id: string, event: string): Promise<void>;
  /** Deletes an instance that has ended, with its history. Does nothing if it does not exist. */
  purge(id: string): Promise<void>;
  /**
   * Deletes the instances that were created in this period and have ended.
   * @returns how many
   */
  purgeEnded(from: Date, to: Date): Promise<number>;
}
