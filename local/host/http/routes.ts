import type { AppFunction } from '../app.js';
import { unsupported } from '../unsupported.js';

interface Segment {
  kind: 'text' | 'value' | 'optional' | 'rest';
  /** Text segments in lower case, because routes ignore case. */
  name: string;
}

export interface Route {
  fn: AppFunction;
  methods: Set<string>;
  segments: Segment[];
}

function toSegment(text: string, fn: string): Segment {
  const inner = /^\{(.+)\}$/.exec(text)?.[1];
  if (inner === undefined) {
    if (/[{}]/.test(text)) {
      throw unsupported(`the route segment ${text} (function ${fn})`);
    }
    return { kind: 'text', name: text.toLowerCase() };
  }
  const [, star = '', name = '', mark = ''] = /^(\*{0,2})([A-Za-z_][\w-]*)(\??)$/.exec(inner) ?? [];
  if (name === '') {
    throw unsupported(`the route segment ${text} (function ${fn})`);
  }
  return { kind: star !== '' ? 'rest' : mark === '?' ? 'optional' : 'value', name };
}

/** @throws ConfigurationError `LOCAL_HOST_UNSUPPORTED` for constraints and defaults in a route */
export function toRoute(fn: AppFunction, routePrefix: string): Route {
  const { route, methods } = fn.trigger;
  const path = `${routePrefix}/${typeof route === 'string' ? route : fn.name}`;
  const given = Array.isArray(methods) ? methods : ['GET', 'POST'];
  return {
    fn,
    methods: new Set(given.map((method) => String(method).toUpperCase())),
    segments: path
      .split('/')
      .filter(Boolean)
      .map((segment) => toSegment(segment, fn.name)),
  };
}

function matchSegments(segments: Segment[], parts: string[]): Record<string, string> | undefined {
  const values: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const part = parts[index];
    if (segment.kind === 'rest') {
      values[segment.name] = parts.slice(index).join('/');
      return values;
    }
    if (part === undefined) {
      if (segment.kind !== 'optional') {
        return undefined;
      }
    } else if (segment.kind !== 'text') {
      values[segment.name] = part;
    } else if (part.toLowerCase() !== segment.name) {
      return undefined;
    }
  }
  return parts.length > segments.length ? undefined : values;
}

const RANK = { text: '0', value: '1', optional: '2', rest: '3' } as const;

/** Routes with the most literal segments first. */
export function sortRoutes(routes: Route[]): Route[] {
  const rank = (route: Route) => route.segments.map((segment) => RANK[segment.kind]).join('');
  return routes.toSorted((left, right) => (rank(left) < rank(right) ? -1 : rank(left) > rank(right) ? 1 : 0));
}

/**
 * @returns undefined if no function has this path and method; the answer is 404, as in the real host, also for a wrong
 * method
 */
export function findRoute(
  routes: Route[],
  method: string,
  path: string,
): { fn: AppFunction; params: Record<string, string> } | undefined {
  let parts: string[];
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  for (const route of routes) {
    const params = route.methods.has(method) ? matchSegments(route.segments, parts) : undefined;
    if (params !== undefined) {
      return { fn: route.fn, params };
    }
  }
  return undefined;
}
