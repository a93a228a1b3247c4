import { GUIDE, type GuideCommand } from '../guide.js';
import type { Did } from './session.js';

const INTRODUCTION = `# Follow the ORAS guide

This page shows the commands of Microsoft's ORAS guide for Azure Container Registry, their output, and the job that does the same
([submit jobs](jobs.md)). With \`alias oras=acr-promoter\`, the guide's lines run unchanged. Progress lines and
most of long outputs are left out, and digests are shortened.

<!-- Written by test/interop/guide.test.ts with WRITE_DOCS=1; each run compares. -->
`;

const MOST_LINES = 8;
/** Lines that are the same for every command. */
const OF_NODES =
  /^(?:(?:Preparing|Uploading|Uploaded|Exists|Downloading|Downloaded|Processing|Copying|Copied|Skipped|Mounted|ArtifactType|WARNING|Login)\b|\[DEPRECATED\])/;

/** The result alone: without the lines of nodes, the rest of what is long, and most digits of a digest. */
function shown(printed: string): string {
  const lines = printed
    .trimEnd()
    .split('\n')
    .filter((line) => !OF_NODES.test(line));
  const cut = lines.length > MOST_LINES ? [...lines.slice(0, 3), '…'] : lines;
  return cut.join('\n').replaceAll(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, 'sha256:$1…');
}

function block(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`;
}

function formatCommand({ line, before, input, shows, job, jobBlobs }: GuideCommand, did: Did): string {
  const typed = [line.replaceAll(/\boras (?=[a-z])/g, 'acr-promoter '), ...(shows === undefined ? [] : [shows])];
  const parts = [block('bash', typed.join('\n'))];
  if (before !== undefined) parts.push(`Run first: \`${before}\`.\n`);
  if (input !== undefined) parts.push(`The command asks for confirmation: answer \`${input}\`, or add \`--force\`.\n`);
  const printed = shown(did.printed);
  if (printed !== '') parts.push(block('text', printed));
  if (jobBlobs !== undefined) parts.push(`With ${Object.keys(jobBlobs).join(', ')} in the container \`source\`:\n`);
  if (job !== undefined) parts.push(block('json', JSON.stringify(job)));
  return parts.join('\n');
}

/** docs/how-to/oras-guide.md, from what a run printed; commands that are not run (installations) are left out. */
export function formatPage(did: readonly Did[]): string {
  const sections = GUIDE.map(({ heading, commands }) => {
    const parts: string[] = [];
    let quiet: string[] = [];
    const flush = (): void => {
      if (quiet.length > 0) parts.push(block('bash', quiet.join('\n')));
      quiet = [];
    };
    for (const command of commands) {
      const found = did.find((each) => each.command === command);
      if (found === undefined) continue;
      // Lines of the shell that print nothing are shown together.
      if (found.printed === '' && command.job === undefined) quiet.push(command.line);
      else {
        flush();
        parts.push(formatCommand(command, found));
      }
    }
    flush();
    return parts.length === 0 ? undefined : [`## ${heading}\n`, ...parts].join('\n');
  });
  return [INTRODUCTION, ...sections.filter((section) => section !== undefined)].join('\n');
}

const ARCHIVE = /^## Push Multiple Files$[^]*?(?=^## )/m;

/** A page without digests that differ from machine to machine: a folder is a gzipped archive, and zlib's output depends on the processor. */
export function steady(page: string): string {
  const [section = ''] = ARCHIVE.exec(page) ?? [];
  const ofArchive = section.matchAll(/Digest: sha256:([0-9a-f]{12})…/g);
  return [...ofArchive].reduce((text, [, digits = '']) => text.replaceAll(digits, '…'), page);
}
