import { describe, expect, test } from '@jest/globals';
import type { OpenUpload, RegistriesOptions, RegistryRepository, PartOptions } from '../../../../src/oci/index.js';
import { blobOf, chunksOf, failureOf, quickClient } from './clients.js';
import { scripted, type Exchange } from './scripted-server.js';

// A blob that is uploaded in several calls, each of which may run in another process.

const BYTES = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 251));
const BLOB = blobOf(BYTES);
const SESSION = '/v2/a/blobs/uploads/1';
const PIECE = 40_000;

const HEAD: Exchange = { request: `HEAD /v2/a/blobs/${BLOB.digest}`, answer: { status: 404 } };
const THERE: Exchange = {
  ...HEAD,
  answer: { status: 200, headers: { 'content-length': String(BYTES.length) } },
};
const POST: Exchange = {
  request: 'POST /v2/a/blobs/uploads/',
  answer: { status: 202, headers: { location: `${SESSION}?_state=0` } },
};
/** The request for a chunk. After it, only the Location of its answer is valid. */
function patch(start: number, end = Math.min(start + PIECE, BYTES.length)): Exchange {
  return {
    request: `PATCH ${SESSION}?_state=${start}`,
    headers: { 'content-range': `${start}-${end - 1}`, 'content-length': String(end - start) },
    answer: ({ body }) => {
      expect(body.equals(BYTES.subarray(start, end))).toBe(true);
      return { status: 202, headers: { location: `${SESSION}?_state=${end}` } };
    },
  };
}
function status(asked: number, received: number): Exchange {
  const headers = { location: `${SESSION}?_state=${received}`, range: `0-${received - 1}` };
  return { request: `GET ${SESSION}?_state=${asked}`, answer: { status: 204, headers } };
}
const PUT: Exchange = {
  request: `PUT ${SESSION}?_state=${BYTES.length}&digest=${encodeURIComponent(BLOB.digest)}`,
  headers: { 'content-length': '0' },
  answer: { status: 201, headers: { 'docker-content-digest': BLOB.digest } },
};
const LOST = { status: 404, body: { errors: [{ code: 'BLOB_UPLOAD_UNKNOWN' }] } };

interface PartResult {
  upload: OpenUpload | undefined;
  /** Offsets at which the source was opened. */
  opened: number[];
  reached: OpenUpload[];
}
type Push = (options?: Partial<PartOptions>, content?: Uint8Array) => Promise<PartResult>;

async function using(
  exchanges: Exchange[],
  run: (push: Push, origin: string) => Promise<void>,
  options: Partial<RegistriesOptions> = {},
): Promise<void> {
  await scripted(exchanges, async (server) => {
    const client = quickClient({ uploads: { chunkBytes: PIECE }, allowedRegistries: [server.host], ...options });
    const repository: RegistryRepository = client.repository(server.host, 'a');
    try {
      await run(async (more = {}, content = BYTES) => {
        const opened: number[] = [];
        const reached: OpenUpload[] = [];
        const upload = await repository.pushPart?.(
          BLOB,
          async (offset) => {
            opened.push(offset);
            return chunksOf(content.subarray(offset), 16_384);
          },
          {
            isEnough: () => false,
            onReached: async (each) => void reached.push(each),
            ...more,
          },
        );
        return { upload, opened, reached };
      }, server.origin);
    } finally {
      await client.close();
    }
  });
}
const kept = (origin: string, receivedBytes: number, more: Partial<OpenUpload> = {}): OpenUpload => ({
  url: `${origin}${SESSION}?_state=${receivedBytes}`,
  receivedBytes,
  chunkBytes: PIECE,
  restarts: 0,
  ...more,
});

describe('uploading a blob in parts', () => {
  test('stops when isEnough returns true, and continues in another call', async () => {
    await using(
      [HEAD, POST, patch(0), HEAD, status(PIECE, PIECE), patch(40_000), patch(80_000), PUT],
      async (push, origin) => {
        const first = await push({ isEnough: (sent) => sent >= PIECE });
        expect(first).toEqual({ upload: kept(origin, PIECE), opened: [0], reached: [kept(origin, PIECE)] });
        const second = await push({ ...(first.upload && { from: first.upload }) });
        expect(second.upload).toBeUndefined();
        expect(second.opened).toEqual([PIECE]);
        expect(second.reached.map(({ receivedBytes }) => receivedBytes)).toEqual([80_000, 100_000]);
      },
    );
  });

  test('closes the upload after the last chunk even if isEnough returns true', async () => {
    await using([HEAD, status(80_000, 80_000), patch(80_000), PUT], async (push, origin) => {
      expect((await push({ from: kept(origin, 80_000), isEnough: () => true })).upload).toBeUndefined();
    });
  });

  test('sends nothing if the blob exists, and leaves the open upload alone', async () => {
    await using([THERE], async (push, origin) => {
      expect(await push({ from: kept(origin, PIECE) })).toEqual({ upload: undefined, opened: [], reached: [] });
    });
  });

  test("trusts the registry's position if a process died after sending more than it stored", async () => {
    await using([HEAD, status(PIECE, 80_000), patch(80_000), PUT], async (push, origin) => {
      expect((await push({ from: kept(origin, PIECE) })).opened).toEqual([80_000]);
    });
  });

  test('closes an upload that is complete but was not closed', async () => {
    await using([HEAD, status(100_000, 100_000), PUT], async (push, origin) => {
      expect((await push({ from: kept(origin, 100_000) })).opened).toEqual([]);
    });
  });

  test('restarts an upload that the registry has lost', async () => {
    await using([HEAD, { ...status(PIECE, PIECE), answer: LOST }, POST, patch(0)], async (push, origin) => {
      const { upload, opened } = await push({ from: kept(origin, PIECE), isEnough: () => true });
      expect(opened).toEqual([0]);
      expect(upload).toEqual(kept(origin, PIECE, { restarts: 1 }));
    });
  });

  test('restarts an upload that is lost in the middle of a call', async () => {
    const lost = { ...patch(40_000), answer: LOST };
    await using(
      [
        HEAD,
        POST,
        patch(0),
        lost,
        HEAD,
        { ...status(PIECE, PIECE), answer: LOST },
        POST,
        patch(0),
        patch(40_000),
        patch(80_000),
        PUT,
      ],
      async (push) => {
        expect((await push()).opened).toEqual([0, 0]);
      },
    );
  });

  test('fails after too many restarts', async () => {
    await using([HEAD, { ...status(PIECE, PIECE), answer: LOST }], async (push, origin) => {
      const failure = await failureOf(push({ from: kept(origin, PIECE, { restarts: 3 }) }));
      expect(failure).toMatchObject({ code: 'UPLOAD_LOST', transient: false });
      // The state in the URL belongs to the registry and is not shown in messages.
      expect(JSON.stringify(failure)).not.toContain('_state');
    });
  });

  test('does not restart if the registry cannot report its position', async () => {
    const busy = { ...status(PIECE, PIECE), answer: { status: 503 }, times: 2 };
    await using(
      [HEAD, busy],
      async (push, origin) => {
        expect(await failureOf(push({ from: kept(origin, PIECE) }))).toMatchObject({ transient: true });
      },
      { retry: { attempts: 2, baseMs: 1 } },
    );
  });

  test('asks for the blob until a slow registry has closed the upload', async () => {
    const breaks: Exchange = { ...PUT, answer: (_, response) => void response.destroy() };
    await using(
      [HEAD, status(80_000, 80_000), patch(80_000), breaks, HEAD, HEAD, THERE],
      async (push, origin) => {
        expect((await push({ from: kept(origin, 80_000) })).upload).toBeUndefined();
      },
      { retry: { attempts: 1, baseMs: 1 } },
    );
  });

  test('fails permanently if the registry reports a wrong digest', async () => {
    const invalid = { ...PUT, answer: { status: 400, body: { errors: [{ code: 'DIGEST_INVALID' }] } } };
    await using([HEAD, status(80_000, 80_000), patch(80_000), invalid], async (push, origin) => {
      expect(await failureOf(push({ from: kept(origin, 80_000) }))).toMatchObject({
        code: 'DIGEST_INVALID',
        transient: false,
      });
    });
  });

  test('fails if the source ends early', async () => {
    // The chunk in which the source ends is interrupted.
    await using([HEAD, POST], async (push) => {
      expect(await failureOf(push({}, BYTES.subarray(0, 10_000)))).toMatchObject({ code: 'SIZE_MISMATCH' });
    });
  });

  test('sends no request to another host from a stored URL', async () => {
    await using([HEAD], async (push) => {
      const elsewhere = kept('http://localhost:1', PIECE);
      expect(await failureOf(push({ from: elsewhere }))).toMatchObject({ code: 'REGISTRY_NOT_ALLOWED' });
    });
  });

  test('ends when it is aborted between two chunks', async () => {
    await using([HEAD, POST, patch(0)], async (push) => {
      const stop = new AbortController();
      const failure = await failureOf(
        push({
          signal: stop.signal,
          onReached: async () => stop.abort(new Error('enough')),
        }),
      );
      expect(failure).toMatchObject({ message: 'enough' });
    });
  });
});
