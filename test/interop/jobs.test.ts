import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  basicCredentials,
  createRegistries,
  packArtifact,
  pushPacked,
  type RegistryClient,
} from '../../src/oci/index.js';
import { startEverything, until, type Everything } from './promotion/everything.js';

interface Run {
  id: string;
  state: string;
  result?: { outcome: string; code?: string; digest?: string };
  output?: { kind: string; value?: unknown; name?: string };
}

describe('jobs over HTTP', () => {
  let up: Everything;
  let client: RegistryClient;
  let digest: string;

  beforeAll(async () => {
    up = await startEverything({
      settings: {
        JOB_OPERATIONS: 'discover,resolve,tags,repos,manifest.fetch',
        JOB_SCOPES: JSON.stringify({ tags: ['open/**'], repos: ['open/**'] }),
      },
    });
    client = createRegistries({
      credentials: basicCredentials(up.user.name, up.user.password, [up.source, up.staging]),
    });
    const packed = packArtifact({
      artifactType: 'doc/example',
      layers: [{ mediaType: 'text/plain', bytes: Buffer.from('hi') }],
    });
    await pushPacked(client.repository(up.source, 'open/hello'), packed, { tag: 'v1' });
    await pushPacked(client.repository(up.source, 'closed/hello'), packed, { tag: 'v1' });
    ({ digest } = packed.descriptor);
  }, 120_000);

  afterAll(async () => {
    await client?.close();
    await up?.stop();
  }, 60_000);

  const post = (job: unknown): Promise<Response> =>
    fetch(`${up.hostUrl}/api/jobs`, { method: 'POST', body: JSON.stringify(job) });

  async function ended(statusUrl: string): Promise<Run> {
    return until(`the run ${statusUrl}\n${up.output().slice(-2000)}`, async () => {
      const run = (await (await fetch(`${up.hostUrl}${statusUrl}`)).json()) as Run;
      return run.state === 'ended' ? run : undefined;
    });
  }

  async function run(job: unknown): Promise<Run> {
    const response = await post(job);
    expect(response.status).toBe(202);
    const { statusUrl } = (await response.json()) as { statusUrl: string };
    return ended(statusUrl);
  }

  test('resolve, discover, tags and repos, each with its output in its run', async () => {
    const reference = `${up.source}/open/hello:v1`;
    const resolved = await run({ operation: 'resolve', reference });
    expect(resolved).toMatchObject({
      result: { outcome: 'completed', digest },
      output: { kind: 'inline', value: { digest, reference: `${up.source}/open/hello@${digest}` } },
    });
    const discovered = await run({ operation: 'discover', reference, format: 'tree' });
    expect(discovered.output?.value).toBe(`${up.source}/open/hello@${digest}`);
    const tags = await run({ operation: 'tags', reference: `${up.source}/open/hello` });
    expect(tags.output?.value).toEqual({ tags: ['v1'] });
    const repos = await run({ operation: 'repos', registry: up.source });
    expect(repos.output?.value).toEqual({ registry: up.source, repositories: ['open/hello'] });
  }, 120_000);
});
