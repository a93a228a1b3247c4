import { expect } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until, type Everything, type Promotion } from '../../support/stack/everything.js';
import { writeImage } from '../../support/stack/images.js';
import { discover, must, readJsonLines, type Discovered } from '../../support/stack/programs.js';
import { tellPush } from './promoted.js';

const SIGNATURE = 'application/vnd.cncf.notary.signature';
const SBOM = 'application/vnd.cyclonedx+json';

const REPOSITORY = 'samples/storm-';

/** Events that are told side by side, beside those of the registry itself. */
const TOLD_AT_ONCE = 6;

export interface StormSize {
  pushes: number;
  images: number;
  repositories: number;
  tags: number;
  kills: number;
}

/** One push: which image becomes which tag. */
interface Push {
  repository: string;
  tag: string;
  digest: string;
  layout: string;
}

/** One that was made, and when. */
interface Pushed extends Push {
  at: string;
}

export interface Storm {
  /** What each source tag ended on: `repository:tag` to digest. */
  last: ReadonlyMap<string, string>;
  /** Every digest that was ever pushed to a repository. */
  pushed: ReadonlyMap<string, ReadonlySet<string>>;
}

interface StormCall {
  up: Everything;
  size: StormSize;
  random: () => number;
  crane: string;
  /** Names of the host processes; a kill takes one of them. */
  hosts: readonly string[];
}

/**
 * Pushes with `crane` to tags that move, tells each event twice more than the registry does, late and shuffled, and kills hosts
 * meanwhile. Ends when the last push, event and kill are through; the promotions may still be under way.
 */
export async function storm({ up, size, random, crane, hosts }: StormCall): Promise<Storm> {
  const folder = await mkdtemp(join(tmpdir(), 'acr-promoter-storm-'));
  try {
    const pushes = await plannedPushes(folder, size, random);
    const docker = { DOCKER_CONFIG: join(folder, 'docker') };
    await must(crane, ['auth', 'login', up.source, '-u', up.user.name, '-p', up.user.password], docker);
    const killing = kill(up, hosts, size.kills, random);
    const untold: Pushed[] = [];
    let isPushing = true;
    const telling = Array.from({ length: TOLD_AT_ONCE }, () => tellAll(up, untold, random, () => isPushing));
    const last = new Map<string, string>();
    const pushed = new Map<string, Set<string>>();
    for (const push of pushes) {
      const { repository, tag, digest, layout } = push;
      // Told again, an event keeps its time: not after the registry's own, and after that of the push before.
      const at = new Date().toISOString();
      await must(crane, ['push', '--insecure', layout, `${up.source}/${repository}:${tag}`], docker);
      last.set(`${repository}:${tag}`, digest);
      pushed.set(repository, (pushed.get(repository) ?? new Set()).add(digest));
      untold.push({ ...push, at }, { ...push, at });
    }
    isPushing = false;
    await Promise.all([...telling, killing]);
    return { last, pushed };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Tells events in no order, one after the other, until the last has been told. */
async function tellAll(
  up: Everything,
  untold: Pushed[],
  random: () => number,
  isPushing: () => boolean,
): Promise<void> {
  while (untold.length > 0 || isPushing()) {
    const [push] = untold.splice(Math.floor(random() * untold.length), 1);
    if (push === undefined) await pause(100);
    else await tellPush(up, push.repository, push.digest, 1, { tag: push.tag, at: push.at });
  }
}

async function plannedPushes(folder: string, size: StormSize, random: () => number): Promise<Push[]> {
  const images = await Promise.all(
    Array.from({ length: size.images }, async (_, index) => {
      const layout = join(folder, `image-${index}`);
      return { layout, digest: await writeImage(layout, `storm ${index}`) };
    }),
  );
  const below = (count: number): number => Math.floor(random() * count);
  return Array.from({ length: size.pushes }, (_, index) => {
    // Each image once at least; the rest of the pushes move tags between them.
    const image = images[index < images.length ? index : below(images.length)];
    if (image === undefined) throw new Error('no image');
    return { ...image, repository: `${REPOSITORY}${below(size.repositories)}`, tag: `v${below(size.tags)}` };
  });
}

/** Kills one host after the other, at random moments; each answers again before the next one dies. */
async function kill(up: Everything, hosts: readonly string[], times: number, random: () => number): Promise<void> {
  for (let done = 0; done < times; done += 1) {
    await pause(1_000 + random() * 4_000);
    const name = hosts[Math.floor(random() * hosts.length)] ?? '';
    const pid = await up.processId(name);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It was faster: with chaos it also dies by itself.
    }
    await until(`${name} to be started again`, async () => ((await up.processId(name)) === pid ? undefined : true));
    await until('the host to answer', async () => {
      const answer = await fetch(`${up.hostUrl}/api/health`).catch(() => undefined);
      return answer?.ok === true ? true : undefined;
    });
  }
}

/** Waits until every promotion rests; @returns them all. */
export async function allSettled(up: Everything, count: number, withinMs: number): Promise<Promotion[]> {
  let quiet = 0;
  return until(
    () => `${count} promotions to settle\n${up.output().slice(-3000)}`,
    async () => {
      const rows = await promotionsOf(up);
      const rest =
        rows?.filter((row) => row.last !== undefined && !row.runOpen && row.observedGeneration >= row.generation) ?? [];
      quiet = rest.length >= count && rest.length === rows?.length ? quiet + 1 : 0;
      return quiet >= 8 ? rows : undefined;
    },
    withinMs,
  );
}

/** Undefined where the host is down. */
async function promotionsOf(up: Everything): Promise<Promotion[] | undefined> {
  const rows: Promotion[] = [];
  let from: string | undefined;
  do {
    const query = `size=100${from === undefined ? '' : `&from=${encodeURIComponent(from)}`}`;
    const answer = await fetch(`${up.hostUrl}/api/promotions?${query}`).catch(() => undefined);
    if (answer?.ok !== true) return undefined;
    const page = (await answer.json()) as { promotions: Promotion[]; next?: string };
    // Beside the sample image that is always pushed first.
    rows.push(...page.promotions.filter(({ source }) => source.repository.startsWith(REPOSITORY)));
    from = page.next;
  } while (from !== undefined);
  return rows;
}

/**
 * What the destination must be, as `oras` reads it: each tag on the digest that its source tag ended on, and under each digest
 * of these one SBOM and one signature, the SBOM signed once, at both ends the same. The registry's log counts what was ever put.
 */
export async function expectWeathered(up: Everything, oras: string, { last, pushed }: Storm): Promise<void> {
  const login = ['--plain-http', '-u', up.user.name, '-p', up.user.password];
  for (const [repository, digests] of pushed) {
    const tags = [...last.keys()].filter((name) => name.startsWith(`${repository}:`));
    const listed = await must(oras, ['repo', 'tags', ...login, `${up.staging}/staging/${repository}`]);
    expect(listed.trim().split('\n').toSorted()).toEqual(tags.map((name) => name.slice(repository.length + 1)).sort());
    for (const name of tags) {
      const digest = last.get(name) ?? '';
      expect((await must(oras, ['resolve', ...login, `${up.source}/${name}`])).trim()).toBe(digest);
      expect((await must(oras, ['resolve', ...login, `${up.staging}/staging/${name}`])).trim()).toBe(digest);
    }
    await expectOneOfEach(up, oras, repository, digests, new Set(tags.map((name) => last.get(name) ?? '')));
  }
}

async function expectOneOfEach(
  up: Everything,
  oras: string,
  repository: string,
  digests: ReadonlySet<string>,
  standing: ReadonlySet<string>,
): Promise<void> {
  const attached = new Set<string>();
  for (const digest of digests) {
    const source = await discover(oras, `${up.source}/${repository}@${digest}`, up.user);
    const found = attachedTo(source);
    for (const each of found) attached.add(each.slice(each.indexOf(' ') + 1));
    // One that was overwritten before its turn may have nothing, but never two.
    if (!standing.has(digest) && found.length === 0) continue;
    expect(found.map((each) => each.split(' ')[0])).toEqual(
      standing.has(digest) || found.length === 3 ? ['sbom', 'sbom.signature', 'signature'] : expect.anything(),
    );
    expect(new Set(found.map((each) => each.split(' ')[0])).size).toBe(found.length);
    if (!standing.has(digest)) continue;
    expect(attachedTo(await discover(oras, `${up.staging}/staging/${repository}@${digest}`, up.user))).toEqual(found);
  }
  // Nothing that we put there is hidden from its lists: what was put twice was the same.
  const log = await readJsonLines(join(up.dataDir, 'registry-source', 'requests.jsonl'));
  const prefix = `/v2/${repository}/manifests/`;
  const put = log
    .filter(({ method, path, status }) => method === 'PUT' && status === 201 && String(path).startsWith(prefix))
    .map(({ path }) => decodeURIComponent(String(path).slice(prefix.length)))
    .filter((name) => name.startsWith('sha256:') && !digests.has(name));
  expect([...new Set(put)].toSorted()).toEqual([...attached].toSorted());
}

/** `sbom DIGEST`, `signature DIGEST`, `sbom.signature DIGEST`, sorted. */
function attachedTo(node: Discovered): string[] {
  return (node.referrers ?? [])
    .flatMap((each) => {
      if (each.artifactType === SIGNATURE) return [`signature ${each.digest}`];
      if (each.artifactType !== SBOM) return [`${each.artifactType ?? '?'} ${each.digest}`];
      return [`sbom ${each.digest}`, ...attachedTo(each).map((below) => `sbom.${below}`)];
    })
    .toSorted();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
