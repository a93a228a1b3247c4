// '@azure/functions' in tests. Node does not see the names of all its exports, since it is a bundle.
import functions from '@azure/functions';

export const { HttpRequest, InvocationContext } = functions;
/** Tests put functions of their own in it: see registered.ts. */
export const app = { ...functions.app };
