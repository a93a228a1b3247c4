import { PromoterError } from '../../src/oci/index.js';

/**
 * An error answer: an HTTP status, a code of the specification, and details.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 */
export class Refusal extends PromoterError {
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    code: string,
    message: string,
    options: { detail?: unknown; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(code, message, { cause: options.cause });
    this.status = status;
    this.detail = options.detail ?? {};
    this.headers = options.headers ?? {};
  }

  /** The body in the specification's form. */
  body(): { errors: { code: string; message: string; detail: unknown }[] } {
    return { errors: [{ code: this.code, message: this.message, detail: this.detail }] };
  }
}

export const refuse = {
  blobUnknown: (digest: string) => new Refusal(404, 'BLOB_UNKNOWN', 'blob unknown to registry', { detail: { digest } }),
  manifestUnknown: (repository: string, reference: string) =>
    new Refusal(404, 'MANIFEST_UNKNOWN', `manifest ${reference} is not found in ${repository}`, {
      detail: { name: repository, revision: reference },
    }),
  tagUnknown: (tag: string) =>
    new Refusal(404, 'TAG_UNKNOWN', 'the specified tag does not exist', { detail: { name: tag } }),
  nameUnknown: (name: string) =>
    new Refusal(404, 'NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } }),
  nameInvalid: (name: string) => new Refusal(400, 'NAME_INVALID', 'invalid repository name', { detail: { name } }),
  uploadUnknown: () => new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry'),
  uploadInvalid: (message: string, status = 400) => new Refusal(status, 'BLOB_UPLOAD_INVALID', message),
  digestInvalid: (message: string, detail: unknown = {}) => new Refusal(400, 'DIGEST_INVALID', message, { detail }),
  manifestInvalid: (message: string, status = 400) => new Refusal(status, 'MANIFEST_INVALID', message),
  unsupported: (message: string) => new Refusal(405, 'UNSUPPORTED', message),
  locked: () =>
    new Refusal(
      405,
      'REGISTRY_DISALLOWED_OPERATION',
      'The operation is disallowed on this registry, repository or image.',
    ),
  notFound: (path: string) => new Refusal(404, 'NOT_FOUND', 'no such endpoint', { detail: { path } }),
};
