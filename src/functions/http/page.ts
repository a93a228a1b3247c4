import type { HttpRequest } from '@azure/functions';
import type { PageOptions } from '../../runs/ports.js';

/** `?size=` (1 to 100) and `?from=`; what isn't understood counts as not given. */
export function pageOf(request: HttpRequest): PageOptions {
  const size = Number(request.query.get('size') ?? '50');
  const from = request.query.get('from');
  return {
    size: Number.isInteger(size) && size >= 1 && size <= 100 ? size : 50,
    ...(from !== null && from !== '' && { from }),
  };
}
