import pc from 'picocolors';
import type { Io } from '../io.js';

/** Colours for a terminal. There are none for other outputs or with `NO_COLOR`. */
export interface Colors {
  /** A state of a promotion, an outcome of a run or a state of a step. */
  state(state: string): string;
  heading(text: string): string;
  bad: (text: string) => string;
  warning: (text: string) => string;
}

const GREEN = new Set(['in_sync', 'promoted', 'completed', 'unchanged', 'done', 'yes']);
const RED = new Set(['failed', 'refused', 'no']);
const YELLOW = new Set(['working', 'waiting', 'pending', 'running', 'superseded', 'interrupted']);

export function colorsOf({ outColumns, env }: Pick<Io, 'outColumns' | 'env'>): Colors {
  const colors = pc.createColors(outColumns !== undefined && (env.NO_COLOR ?? '') === '');
  return {
    state(state) {
      if (GREEN.has(state)) return colors.green(state);
      if (RED.has(state)) return colors.red(state);
      return YELLOW.has(state) ? colors.yellow(state) : state;
    },
    heading: colors.bold,
    bad: colors.red,
    warning: colors.yellow,
  };
}
