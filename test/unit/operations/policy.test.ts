import { beforeEach, describe, expect, test } from '@jest/globals';
import { JOB_OPERATIONS, type JobOperation } from '../../../src/operations/job-schema.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { enforceJobPolicy } from '../../../src/operations/policy.js';
import { DEFAULT_JOB_OPERATIONS } from '../../../src/settings.js';
import { rule } from '../../support/rules.fixture.js';
import { newJobWorld, perform, pushSample } from '../../support/job-world.js';
import { REGISTRY, newWorld, type World } from '../../support/world.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const CERTIFICATE = '-----BEGIN CERTIFICATE-----';
let world: World;

beforeEach(() => {
  world = newWorld();
  world.jobPolicy = { allowedRegistries: [REGISTRY], operations: JOB_OPERATIONS, scopes: {}, credentials: {} };
});

/** What each operation needs, about one repository. */
function jobAbout(operation: JobOperation, repository: string, registry = REGISTRY): Record<string, unknown> {
  const name = `${registry}/${repository}`;
  const tagged = { operation, reference: `${name}:v1` };
  const file = { path: 'f', text: '{}' };
  const about: Record<JobOperation, Record<string, unknown>> = {
    promote: { operation, source: `${name}:v1` },
    copy: { operation, source: `${REGISTRY}/samples/app:v1`, destination: `${name}:v1` },
    resolve: tagged,
    discover: tagged,
    tags: { operation, reference: name },
    repos: { operation, registry },
    'manifest.fetch': tagged,
    'manifest.fetchConfig': tagged,
    verify: { ...tagged, signatures: [{ format: 'notary', trustStore: CERTIFICATE }] },
    tag: { ...tagged, tags: ['v2'] },
    push: { ...tagged, files: [file] },
    attach: { ...tagged, artifactType: 'a/b', files: [file] },
    pull: tagged,
    'manifest.push': { ...tagged, file },
    'manifest.delete': tagged,
    'manifest.index.create': { ...tagged, manifests: ['v1'] },
    'manifest.index.update': { ...tagged, add: ['v1'] },
    'blob.fetch': { operation, reference: `${name}@${DIGEST}` },
    'blob.push': { operation, reference: name, file },
    'blob.delete': { operation, reference: `${name}@${DIGEST}` },
    sbom: tagged,
    sign: tagged,
  };
  return about[operation];
}

function enforce(job: Record<string, unknown>): Promise<string | undefined> {
  return enforceJobPolicy(world, parseJob(job, { messageId: 'm' })).then(
    () => undefined,
    (error: { code: string }) => error.code,
  );
}

describe.each(JOB_OPERATIONS)('%s', (operation) => {
  test('is refused unless JOB_OPERATIONS names it', async () => {
    expect(await enforce(jobAbout(operation, 'other/app'))).toBeUndefined();
    world.jobPolicy = { ...world.jobPolicy, operations: JOB_OPERATIONS.filter((each) => each !== operation) };
    expect(await enforce(jobAbout(operation, 'other/app'))).toBe('JOB_OPERATION_FORBIDDEN');
  });

  test('may use no other registry', async () => {
    expect(await enforce(jobAbout(operation, 'other/app', 'elsewhere.azurecr.io'))).toBe('REGISTRY_NOT_ALLOWED');
  });

  test('may use no repository outside its scope', async () => {
    world.jobPolicy = { ...world.jobPolicy, scopes: { [operation]: ['samples/**', 'inside/*'] } };
    expect(await enforce(jobAbout(operation, 'inside/app'))).toBeUndefined();
    // A registry's list is cut instead.
    const outside = operation === 'repos' ? undefined : 'JOB_SCOPE_FORBIDDEN';
    expect(await enforce(jobAbout(operation, 'outside/app'))).toBe(outside);
  });

  test('may use only an existing credential for a registry that it uses', async () => {
    const job = jobAbout(operation, 'other/app');
    expect(await enforce({ ...job, credential: 'production' })).toBe('CREDENTIAL_UNKNOWN');
    // No credential by what every object has.
    expect(await enforce({ ...job, credential: 'constructor' })).toBe('CREDENTIAL_UNKNOWN');
    const credentials = { here: { registry: REGISTRY.toUpperCase() }, there: { registry: 'other.example.org' } };
    world.jobPolicy = { ...world.jobPolicy, credentials };
    const refused = 'CREDENTIAL_NOT_FOR_THIS';
    expect(await enforce({ ...job, credential: 'here' })).toBe(operation === 'promote' ? refused : undefined);
    expect(await enforce({ ...job, credential: 'there' })).toBe(refused);
  });
});

/** Each operation has its place here: what a rule writes is nothing that a job may change, in whatever way. */
const CHANGES: Record<JobOperation, boolean> = {
  promote: false, // What it writes is what the rules say.
  resolve: false,
  discover: false,
  tags: false,
  repos: false,
  'manifest.fetch': false,
  'manifest.fetchConfig': false,
  'blob.fetch': false,
  verify: false,
  pull: false,
  copy: true,
  tag: true,
  push: true,
  attach: true,
  'manifest.push': true,
  'manifest.index.create': true,
  'manifest.index.update': true,
  'manifest.delete': true,
  'blob.push': true,
  'blob.delete': true,
  sbom: true,
  sign: true,
};

describe.each(JOB_OPERATIONS)('%s at a rule’s destination', (operation) => {
  test('is refused if it would change anything', async () => {
    const refused = CHANGES[operation] ? 'COPY_BYPASSES_RULE' : undefined;
    expect(typeof CHANGES[operation]).toBe('boolean');
    expect(await enforce(jobAbout(operation, 'staging/samples/app'))).toBe(refused);
    // A scope opens nothing that is closed to all jobs.
    world.jobPolicy = { ...world.jobPolicy, scopes: { [operation]: ['staging/samples/app', 'samples/**'] } };
    expect(await enforce(jobAbout(operation, 'staging/samples/app'))).toBe(refused);
    world.ruleList = world.ruleList.map((each) => ({ ...each, mode: 'observe' as const }));
    expect(await enforce(jobAbout(operation, 'staging/samples/app'))).toBe(refused);
  });

  test('changes nothing', async () => {
    world = newJobWorld();
    await pushSample(world, 'staging/samples/app', 'v1');
    const { tags, manifests, blobs } = world.registries.repository(REGISTRY, 'staging/samples/app');
    const [blob = DIGEST] = blobs.keys();
    const job = JSON.stringify(jobAbout(operation, 'staging/samples/app')).replaceAll(DIGEST, blob);
    const holds = (): unknown => [[...tags], [...manifests.keys()], [...blobs.keys()]];
    const before = holds();
    await perform(world, JSON.parse(job) as Record<string, unknown>).catch(() => undefined);
    expect(holds()).toEqual(before);
  });
});

/** What changes something by taking it away gives a rule nothing to promote. */
const FEEDS = JOB_OPERATIONS.filter((operation) => CHANGES[operation] && !operation.endsWith('.delete'));

describe.each(JOB_OPERATIONS)('%s at a rule’s source', (operation) => {
  const job = jobAbout(operation, 'samples/hello');
  const refused = FEEDS.includes(operation) ? 'JOB_FEEDS_RULE' : undefined;

  test('is refused if it would decide what the rule promotes', async () => {
    expect(await enforce(job)).toBe(refused);
    world.ruleList = world.ruleList.map((each) => ({ ...each, mode: 'observe' as const }));
    expect(await enforce(job)).toBe(refused);
    world.ruleList = [rule({ source: { registry: REGISTRY, repositories: ['samples/**', '!samples/hello'] } })];
    expect(await enforce(job)).toBeUndefined();
    world.ruleList = [rule({ source: { registry: 'other.azurecr.io', repositories: ['samples/**'] } })];
    expect(await enforce(job)).toBeUndefined();
  });

  test('is allowed if its scope names the repository for writing', async () => {
    const to = operation === 'copy' ? { to: ['samples/**'] } : ['samples/**'];
    world.jobPolicy = { ...world.jobPolicy, scopes: { [operation]: to } };
    expect(await enforce(job)).toBeUndefined();
    // Another operation's scope is not this one's.
    world.jobPolicy = { ...world.jobPolicy, scopes: { repos: ['**'], [operation === 'tag' ? 'push' : 'tag']: ['**'] } };
    expect(await enforce(job)).toBe(refused);
  });
});

describe('a copy', () => {
  const copy = (source: string, destination: string, at = REGISTRY): Promise<string | undefined> =>
    enforce({ operation: 'copy', source: `${REGISTRY}/${source}`, destination: `${at}/${destination}` });

  test('to a rule’s source is not allowed by a scope that is one list for both sides', async () => {
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: ['samples/**', 'mirror/**'] } };
    expect(await copy('samples/app:v1', 'mirror/app:v1')).toBeUndefined();
    expect(await copy('samples/app:v1', 'samples/hello:v1')).toBe('JOB_FEEDS_RULE');
    expect(await copy('mirror/app:v1', 'samples/hello:v1')).toBe('JOB_FEEDS_RULE');
  });

  test('may have a scope for each side', async () => {
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: { from: ['samples/**'], to: ['mirror/**'] } } };
    expect(await copy('samples/app:v1', 'mirror/app:v1')).toBeUndefined();
    expect(await copy('mirror/app:v1', 'mirror/other:v1')).toBe('JOB_SCOPE_FORBIDDEN');
    expect(await copy('samples/app:v1', 'samples/hello:v1')).toBe('JOB_SCOPE_FORBIDDEN');
    // A side that isn't named is open, but for what rules read.
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: { from: ['samples/**'] } } };
    expect(await copy('samples/app:v1', 'elsewhere/app:v1')).toBeUndefined();
    expect(await copy('samples/app:v1', 'samples/hello:v1')).toBe('JOB_FEEDS_RULE');
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: { to: ['samples/**'] } } };
    expect(await copy('elsewhere/app:v1', 'samples/hello:v1')).toBeUndefined();
  });

  test('within one repository counts as a tag', async () => {
    const operations = JOB_OPERATIONS.filter((each) => each !== 'tag');
    for (const [source, destination] of [
      ['other/app:v1', 'other/app:v2'],
      [`other/app@${DIGEST}`, 'other/app:v1'],
      ['other/app:v1', 'other/app'],
    ] as const) {
      world.jobPolicy = { ...world.jobPolicy, operations, scopes: {} };
      expect(await copy(source, destination)).toBe('JOB_OPERATION_FORBIDDEN');
      world.jobPolicy = { ...world.jobPolicy, operations: JOB_OPERATIONS };
      expect(await copy(source, destination)).toBeUndefined();
      world.jobPolicy = { ...world.jobPolicy, scopes: { tag: ['inside/**'] } };
      expect(await copy(source, destination)).toBe('JOB_SCOPE_FORBIDDEN');
    }
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: { to: ['samples/**'] } } };
    expect(await copy('samples/app:v1', 'samples/app:v2')).toBe('JOB_FEEDS_RULE');
  });

  test('within one repository counts as a tag, whatever name the registry has', async () => {
    const allowedRegistries = ['docker.io', 'index.docker.io'];
    const operations = JOB_OPERATIONS.filter((each) => each !== 'tag');
    world.jobPolicy = { ...world.jobPolicy, operations, allowedRegistries };
    const job = { operation: 'copy', source: 'docker.io/a/b:v1', destination: 'index.docker.io/a/b:v2' };
    expect(await enforce(job)).toBe('JOB_OPERATION_FORBIDDEN');
    expect(await enforce({ ...job, destination: 'index.docker.io/a/c:v2' })).toBeUndefined();
  });

  test('to a rule’s source is refused, whatever name the registry has', async () => {
    world.jobPolicy = { ...world.jobPolicy, allowedRegistries: [REGISTRY, 'index.docker.io'] };
    world.ruleList = [rule({ source: { registry: 'docker.io', repositories: ['samples/**'] } })];
    expect(await copy('other/app:v1', 'samples/hello:v1', 'index.docker.io')).toBe('JOB_FEEDS_RULE');
  });
});

test('the names of registries are compared without case', async () => {
  world.ruleList = [rule({ destination: { reference: 'R.AzureCR.io/staging/{repository}:{tag}' } })];
  expect(await enforce(jobAbout('tag', 'staging/samples/app'))).toBe('COPY_BYPASSES_RULE');
});

test('two names of one registry are the same registry', async () => {
  const names = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'r.azurecr.io', 'r.azurecr.io:443'];
  world.jobPolicy = { ...world.jobPolicy, allowedRegistries: names };
  for (const [written, named] of [
    ['docker.io', 'index.docker.io'],
    ['registry-1.docker.io', 'docker.io'],
    ['r.azurecr.io', 'r.azurecr.io:443'],
  ] as const) {
    world.ruleList = [rule({ destination: { reference: `${written}/staging/{repository}:{tag}` } })];
    expect(await enforce(jobAbout('tag', 'staging/samples/app', named))).toBe('COPY_BYPASSES_RULE');
    expect(await enforce(jobAbout('tag', 'other/app', named))).toBeUndefined();
  }
});

describe('a host that differs in form from ALLOWED_REGISTRIES', () => {
  test.each([
    'R.AZURECR.IO',
    'r.azurecr.io:443',
    'r.azurecr.io:5000',
    'r.azurecr.io.evil.example',
    'evil.example',
    'rr.azurecr.io',
    'azurecr.io',
    'localhost:5000',
    '127.0.0.1',
    '169.254.169.254',
    '[::1]:5000',
    '[::ffff:169.254.169.254]',
    'metadata.google.internal',
  ])('such as %s is not allowed', async (host) => {
    for (const operation of JOB_OPERATIONS) {
      expect(await enforce(jobAbout(operation, 'other/app', host))).toBe('REGISTRY_NOT_ALLOWED');
    }
    const source = { operation: 'copy', source: `${host}/other/app:v1`, destination: `${REGISTRY}/other/app` };
    expect(await enforce(source)).toBe('REGISTRY_NOT_ALLOWED');
  });
});

describe('a scope', () => {
  test.each<[globs: string[], inside: string[], outside: string[]]>([
    [['samples/*'], ['samples/a'], ['samples', 'samples/a/b', 'samplesx/a', 'x/samples/a']],
    [['samples/**'], ['samples/a', 'samples/a/b'], ['samplesx/a', 'x/samples/a']],
    [['samples/a'], ['samples/a'], ['samples/ab', 'samples/a/b', 'samples/b']],
    [['samples/**', '!samples/secret/**'], ['samples/a'], ['samples/secret/a', 'samples/secret/a/b']],
    [['samples/?'], ['samples/a'], ['samples/ab']],
    [['samples/{a,b}'], ['samples/a'], ['samples/c']],
    [['*'], ['samples'], ['samples/a']],
  ])('of %j allows %j and not %j', async (globs, inside, outside) => {
    const scoped = async (operation: 'tag' | 'resolve', repository: string): Promise<string | undefined> => {
      world.jobPolicy = { ...world.jobPolicy, scopes: { [operation]: globs } };
      return enforce(jobAbout(operation, repository));
    };
    for (const operation of ['tag', 'resolve'] as const) {
      for (const name of inside) expect([name, await scoped(operation, name)]).toEqual([name, undefined]);
      for (const name of outside) expect([name, await scoped(operation, name)]).toEqual([name, 'JOB_SCOPE_FORBIDDEN']);
    }
  });

  test('of a copy may be one list for both sides', async () => {
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: ['open/**'] } };
    const copy = (source: string, destination: string): Promise<string | undefined> =>
      enforce({ operation: 'copy', source: `${REGISTRY}/${source}:v1`, destination: `${REGISTRY}/${destination}:v1` });
    expect(await copy('open/a', 'open/b')).toBeUndefined();
    expect(await copy('closed/a', 'open/b')).toBe('JOB_SCOPE_FORBIDDEN');
    expect(await copy('open/a', 'closed/b')).toBe('JOB_SCOPE_FORBIDDEN');
  });

  test('allows nothing for another operation', async () => {
    world.jobPolicy = { ...world.jobPolicy, scopes: { resolve: ['**'], tag: ['open/**'] } };
    expect(await enforce(jobAbout('tag', 'closed/a'))).toBe('JOB_SCOPE_FORBIDDEN');
  });
});

test('by default, jobs may read, promote and copy', () => {
  const byDefault = DEFAULT_JOB_OPERATIONS.split(',');
  expect(JOB_OPERATIONS.filter((each) => byDefault.includes(each) && CHANGES[each])).toEqual(['copy']);
  expect(byDefault.filter((each) => /delete|pull|fetchConfig|blob/.test(each))).toEqual([]);
  expect(JOB_OPERATIONS).toEqual(expect.arrayContaining(byDefault));
});
