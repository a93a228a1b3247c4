import type { HttpRequest } from '@azure/functions';
import { InputError } from '../../oci/index.js';
import type { PageOptions } from '../../ports/page.js';

/** The default number of rows of a page. */
const ROWS = 50;
const MOST_ROWS = 100;

/**
 * Parses `?size=` (1 to 100, default 50) and `?from=`.
 * @throws InputError `PAGE_SIZE_INVALID`
 */
export function pageOf(request: Pick<HttpRequest, 'query'>): PageOptions {
  const asked = request.query.get('size') ?? '';
  const from = request.query.get('from');
  const size = asked === '' ? ROWS : /^\d{1,6}$/.test(asked) ? Number(asked) : 0;
  if (size < 1 || size > MOST_ROWS) {
    throw new InputError('PAGE_SIZE_INVALID', `size is ${asked.slice(0, 20)}: a page has 1 to ${MOST_ROWS} rows`, {
      remedy: `Give a size from 1 to ${MOST_ROWS} (default ${ROWS}). For the next page, give "next" back as "from".`,
    });
  }
  return { size, ...(from !== null && from !== '' && { from }) };
}
