import type { Command } from 'commander';
import { InputError, quoted } from '../../oci/index.js';
import type { PackageChange, SbomPackage } from '../../sbom/index.js';
import { connectionOf } from '../connection/connection.js';
import { layoutOptions } from '../connection/layout-options.js';
import type { Session } from '../connection/session.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { parseTarget, type Target } from '../connection/target.js';
import type { Io } from '../io.js';
import { openedOf } from '../operation-verb.js';
import { platformOf } from '../option-values.js';
import { SbomsDiffer } from '../output/exit-codes.js';
import { addFormatOptions, formatResult, resultFormat } from '../output/result.js';
import { tableLines, tableStyleOf, type Column } from '../output/table.js';
import { addTtyOption } from '../output/transfers.js';
import { defineVerb, noTagOrDigest, operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'sbom diff',
  operands: '<file|name{:<tag>|@<digest>}> <file|name{:<tag>|@<digest>}>',
  purpose: 'the SBOMs or images to compare',
  count: 2,
  summary: 'Compare the packages of two SBOMs or images',
  examples: [
    [
      'Two versions of an image',
      'acr-promoter sbom diff myregistry.azurecr.io/samples/app:v1 myregistry.azurecr.io/samples/app:v2',
    ],
    ['An SBOM in a file with an image', 'acr-promoter sbom diff --exit-code app.cdx.json localhost:5000/hello:v1'],
  ],
};

const COLUMNS: readonly Column<PackageChange>[] = [
  { heading: 'CHANGE', text: ({ change }) => change },
  { heading: 'TYPE', text: ({ type }) => type },
  { heading: 'NAME', text: ({ name }) => name, cut: 'end' },
  { heading: 'FROM', text: ({ from }) => from.join(', '), cut: 'end' },
  { heading: 'TO', text: ({ to }) => to.join(', '), cut: 'end' },
];

/** The packages of a document in a file, or of an image in a registry or a layout. */
async function packagesOf(io: Io, session: Session, operand: string, values: Values): Promise<SbomPackage[]> {
  // Loaded when it is needed: it is half of the program.
  const { isInFolder, listPackages, openForSbom, readSbomFile } = await import('../local/sboms.js');
  const layout = layoutOptions(values);
  const inFile = layout.isLayout ? undefined : await readSbomFile(operand, io);
  if (inFile !== undefined) return inFile;
  const isLayout = layout.isLayout || (await isInFolder(operand));
  const target = targetOf(operand, { ...layout, isLayout });
  if (target.tagOrDigest === undefined) throw noTagOrDigest(VERB, operand);
  const opened = await openForSbom(io, async () => openedOf(await session.open(target, connectionOf(values, ''))));
  return (await listPackages(io, opened, platformOf(values, io), values)).packages;
}

/** @throws InputError `REFERENCE_INVALID`, also for the path of a file that is no SBOM or does not exist */
function targetOf(operand: string, layout: Parameters<typeof parseTarget>[1]): Target {
  try {
    return parseTarget(operand, layout);
  } catch (error) {
    if (layout.isLayout || !(error instanceof InputError) || error.code !== 'REFERENCE_INVALID') throw error;
    throw new InputError('REFERENCE_INVALID', `${quoted(operand)} is neither a file with an SBOM nor an image`, {
      remedy:
        'Give the path of a CycloneDX or SPDX document in JSON, or an image as registry[:port]/repository:tag or @digest.',
    });
  }
}

/** `sbom diff` */
export function addSbomDiff(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('--exit-code', 'exit code 2 if they differ');
    addFormatOptions(command, { isTable: true });
    addTtyOption(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const format = resultFormat(values, { isTable: true });
    const { diffSboms } = await import('../../sbom/index.js');
    const first = await packagesOf(io, session, operandAt(operands, 0), values);
    const changes = diffSboms(first, await packagesOf(io, session, operandAt(operands, 1), values));
    const count = (wanted: PackageChange['change']): number => changes.filter(({ change }) => change === wanted).length;
    const counts = { added: count('added'), removed: count('removed'), changed: count('changed') };
    if (format.kind !== 'text') io.out(formatResult(format, { ...counts, changes }));
    else {
      // A pipe or a file gets whole names.
      const style = tableStyleOf(io, { ...values, wide: io.outColumns === undefined });
      const lines = changes.length === 0 ? [] : [...tableLines(COLUMNS, changes, style), ''];
      const summary = `${counts.added} added, ${counts.removed} removed, ${counts.changed} changed`;
      io.out(`${[...lines, summary].join('\n')}\n`);
    }
    if (changes.length > 0 && values.exitCode === true) throw new SbomsDiffer(changes.length);
  });
}
