import { GUIDE, type GuideCommand } from '../guide.js';
import type { Did } from './session.js';

const INTRODUCTION = `# The ORAS guide, line by line

What the guide for Azure Container Registry does with \`oras\`, done with this app: what to type, what it prints, and the job that
does the same (\`POST /api/jobs\`, or a message of the queue \`jobs\`; [jobs.md](jobs.md)). \`alias oras=acr-promoter\`, and the guide's
lines run as they stand.

This page is written by a run of test/interop/guide.test.ts (\`WRITE_DOCS=1\`) against a local registry with ACR's endpoints, under the
guide's name for it, and each run compares. Digests are shortened. Anything that is typed can also be handed to the deployed app: \`--submit --wait\`. push, attach
and the deletes have to be named in \`JOB_OPERATIONS\` first; where a rule reads, \`JOB_SCOPES\` has to name the repository too.
`;

/** Digests cut to twelve digits. */
function shown(printed: string): string {
  return printed.replaceAll(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, 'sha256:$1…').trimEnd();
}

function block(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`;
}

function formatCommand(command: GuideCommand, did: Did | undefined): string {
  const { line, before, instead, why, input, shows, job, jobBlobs } = command;
  const typed = [line.replaceAll(/\boras (?=[a-z])/g, 'acr-promoter '), ...(shows === undefined ? [] : [shows])];
  const parts = [block('bash', typed.join('\n'))];
  if (did === undefined) parts.push(`Not run. ${why ?? ''}\n`);
  else if (instead !== undefined) parts.push(`Run as \`${instead}\`. ${why ?? ''}\n`);
  if (before !== undefined) parts.push(`The guide takes for granted what \`${before}\` makes.\n`);
  if (input !== undefined) parts.push(`It asks; \`${input}\` is the answer, or \`--force\`.\n`);
  const printed = did === undefined ? '' : shown(did.printed);
  if (printed !== '') parts.push(block('text', printed));
  if (job !== undefined)
    parts.push(
      jobBlobs === undefined
        ? 'The job:\n'
        : `The job, with ${Object.keys(jobBlobs)
            .map((name) => `\`${name}\``)
            .join(', ')} in the container \`source\`:\n`,
      block('json', JSON.stringify(job, undefined, 2)),
    );
  return parts.join('\n');
}

/** docs/guide.md, out of what a run printed. */
export function formatPage(did: readonly Did[]): string {
  const sections = GUIDE.map(({ heading, commands }) => {
    const parts: string[] = [`## ${heading}\n`];
    let quiet: string[] = [];
    const flush = (): void => {
      if (quiet.length > 0) parts.push(block('bash', quiet.join('\n')));
      quiet = [];
    };
    for (const command of commands) {
      const found = did.find((each) => each.command === command);
      const { why, job } = command;
      // Lines of the shell that print nothing stand together.
      if (found?.printed === '' && why === undefined && job === undefined) quiet.push(command.line);
      else {
        flush();
        parts.push(formatCommand(command, found));
      }
    }
    flush();
    return parts.join('\n');
  });
  return [INTRODUCTION, ...sections].join('\n');
}

const ARCHIVE = /^## Push Multiple Files$[^]*?(?=^## )/m;

/**
 * A page without what differs from run to run, the order of what is done at once, and from machine to machine: a folder is a gzipped
 * archive, and what zlib makes of it hangs on the processor. All other digests are always the same.
 */
export function steady(page: string): string[] {
  const [section = ''] = ARCHIVE.exec(page) ?? [];
  const ofArchive = section.matchAll(/\b([0-9a-f]{12}) (?:details|application\/vnd\.oci\.image\.manifest)/g);
  let text = page.replaceAll(/"size": \d+/g, '"size": …');
  for (const [, digits = ''] of ofArchive) text = text.replaceAll(digits, '…');
  return text.split(/(?=^```)/m).flatMap((part) => {
    const lines = part.split('\n');
    return part.startsWith('```text') ? lines.toSorted() : lines;
  });
}
