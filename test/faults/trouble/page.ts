import { formatDuration } from '../../../src/rules/duration.js';
import type { Row } from './rows.js';
import type { Ended } from './stage.js';

/** What came of a row, and the names that stand in it. */
export interface Told extends Ended {
  /** What is different each time, and what the page says instead. */
  names: ReadonlyMap<string, string>;
}

/** Fit for a cell, and the same each time. */
function cell(text: string, { names }: Told): string {
  let plain = text;
  for (const [name, instead] of names) plain = plain.replaceAll(name, instead);
  return plain
    .replaceAll(/https?:\/\//g, '')
    .replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:…')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…')
    .replaceAll(/samples\/row-\d+/g, 'samples/app')
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;');
}

function took({ elapsedMs }: Told): string {
  return elapsedMs < 1_000 ? 'at once' : formatDuration(elapsedMs);
}

/** What the run's row says while it waits. */
function meanwhile(row: Row, told: Told): string {
  if (row.meanwhile !== undefined) return row.meanwhile;
  const { waiting } = told;
  if (waiting?.waitsFor === undefined) return told.elapsedMs < 1_000 ? 'nothing: it passed within the step' : 'waiting';
  const { tries } = waiting.waitsFor;
  // Without the times, which are others each time.
  const text = waiting.text.replace(/ since [^(]*\((.*), \d+ tr(?:y|ies), next [^)]*\)$/, ' ($1)');
  return `${cell(`${waiting.step}: ${text}`, told)}; tried ${tries} ${tries === 1 ? 'time' : 'times'}`;
}

export function troublePage(passing: readonly Row[], forGood: readonly Row[], told: ReadonlyMap<Row, Told>): string {
  const of = (row: Row): Told => {
    const found = told.get(row);
    if (found === undefined) throw new Error(`not played: ${row.what}`);
    return found;
  };
  const passed = passing.map((row) => {
    const its = of(row);
    return `| ${row.what} | ${meanwhile(row, its)} | \`${its.result.outcome}\` | ${took(its)} | ${its.calls} |`;
  });
  const stayed = forGood.map((row) => {
    const its = of(row);
    const { outcome, code = '', reason = '', remedy = '' } = its.result;
    return `| ${row.what} | \`${outcome}\`, \`${code}\`: ${cell(reason, its)} | ${cell(remedy, its)} | ${took(its)} | ${its.calls} |`;
  });
  return `# Trouble

<!-- Made by test/faults/trouble.test.ts with WRITE_DOCS=1; the test fails where it is stale. -->

What a run does when registries, tokens, its identity, its signing key or its storage fail. Each row was played: the app's own orchestration,
steps and registry client, over HTTP, against two registries behind a proxy that fails as the row says. Only the timers are
played, so that a day takes no day.

A request that fails in passing is first tried again by the client, for some seconds, and a \`Retry-After\` of up to half a
minute is kept to there. What lasts longer ends the activity: the run waits with a durable timer and calls the step again, which
goes on where it was. Pauses grow from two seconds to five minutes within the first hour, to a quarter of an hour later; a
\`Retry-After\` makes a pause longer, up to a day, and never shorter. What a registry does not know though it was pushed, a host that has no address,
and a role on the signing key that is missing, is waited for for a quarter of an hour; a referrer that is listed and not there, for two minutes, and then the copy goes on without
it, and the schedule brings it when it is there. All of it ends at the rule's \`deadline\` (docs/rules.md; a day by default; a job's is a
day): then the run fails with the code of the last trouble. The schedule tries again, after five minutes at first, and after
twice as long with each failure in a row, up to a day.

While a run waits, its step's row (\`GET /api/runs/{id}\`) has the state \`waiting\`, the trouble as its text, and in \`waitsFor\`
the code, how often it was tried, since when, and when it is tried next. A registry that gives no answer (30 seconds at most are waited for the
first byte of a small request) is named at once, in the run, in \`explain\` and among the warnings of \`GET /api/status\`:
\`destination staging.example not answering since 12:03 (timeout, 3 tries, next 12:09)\`, in UTC.

## What passes

| what happened | what the run says meanwhile | how it ends | after | calls of the step |
|---|---|---|---|---|
${passed.join('\n')}

## What does not

| what happened | how it ends | what to do | after | calls of the step |
|---|---|---|---|---|
${stayed.join('\n')}

## Images that are too large for an SBOM

An image that makes the reading of its layers endless, by accident or on purpose, ends its run as \`failed\`, \`SBOM_LIMIT\`; the message
names the limit. Other promotions go on meanwhile: reading yields after 20 ms. The schedule looks at such an image again as at any
failure, once a day in the end. Its tag at the destination is not written. If the image has to be as it is, set \`"sbom": {"formats": []}\` in its rule.

| limit | default | what exceeds it |
|---|---|---|
| \`layers\` | 1,000 | layers of one image; each costs a request |
| \`unpackedBytes\` | 100 GiB | all layers, unpacked |
| \`unpackedRatio\` | 100, beyond 2 GiB (\`freeUnpackedBytes\`) | unpacked bytes for each packed byte read so far; layers of programs have 2 to 5, files of zeros 1,000 |
| \`entries\` | 4,000,000 | headers in all archives |
| \`zstdFrames\`, \`zstdWindowBytes\` | 1,000,000; 128 MiB | frames of zstd layers; the window that one asks for |
| \`pathBytes\`, \`headerBytes\` | 4,096; 1 MiB | one path; one extended header |
| \`rememberedBytes\` | 256 MiB | memory for the paths of upper layers, about two million files |
| \`packages\`, \`packageChars\` | 100,000; 32 MiB | packages, each place counted; their names, versions, licences and places |
| \`readBytes\` | 512 MiB | package databases and manifests |
| \`documentBytes\`, \`configBytes\` | 64 MiB; 4 MiB | the SBOM; the image's config |

A file of zeros is often \`/var/log/lastlog\`, which grows with the largest UID: create users with \`useradd --no-log-init\`.

Smaller things are a gap that the SBOM names: a dpkg database over 16 MiB, a package.json over 1 MiB or nested deeper than 200, over
100 licences of one package, names and versions over 1,000 characters.

\`STEP_STUCK\` ends a run if eight attempts of a long step (\`observe\`, \`attach\`, \`copy\`, \`verifyArrival\`) ended without progress: the process died, or nine
minutes were over, each time. A layer that was read for an SBOM, an attachment and a piece of a copy are progress.
`;
}
