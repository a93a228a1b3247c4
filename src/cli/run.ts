import { Command, CommanderError } from 'commander';
import { describeError } from '../oci/index.js';
import { readLine } from './boolean-flags.js';
import { addExamples, subcommandTerm } from './help-text.js';
import { formatWrongUse, UsageError } from './errors.js';
import { addHelpCommand, withoutVainHelp } from './help-command.js';
import type { Io } from './io.js';
import { addAttach } from './verbs/attach.js';
import { addBlobDelete } from './verbs/blob-delete.js';
import { addBlobFetch } from './verbs/blob-fetch.js';
import { addBlobPush } from './verbs/blob-push.js';
import { addCertificateCreate } from './verbs/certificate-create.js';
import { addCompletion } from './verbs/completion.js';
import { addCopy } from './verbs/copy.js';
import { addDiscover } from './verbs/discover.js';
import { addExplain } from './verbs/explain.js';
import { colorsOf } from './output/colors.js';
import { exitCodeOf } from './output/exit-codes.js';
import { createSubmitDoor } from './app/submit-option.js';
import { addJobs } from './verbs/jobs.js';
import { addLogin } from './verbs/login.js';
import { addLogout } from './verbs/logout.js';
import { addManifestDelete } from './verbs/manifest-delete.js';
import { addManifestFetchConfig } from './verbs/manifest-fetch-config.js';
import { addManifestFetch } from './verbs/manifest-fetch.js';
import { addManifestIndexCreate } from './verbs/manifest-index-create.js';
import { addManifestIndexUpdate } from './verbs/manifest-index-update.js';
import { addManifestPush } from './verbs/manifest-push.js';
import { addPromote } from './verbs/promote.js';
import { addPromotions } from './verbs/promotions.js';
import { addPull } from './verbs/pull.js';
import { addPush } from './verbs/push.js';
import { addRepoLs } from './verbs/repo-ls.js';
import { addRepoTags } from './verbs/repo-tags.js';
import { addResolve } from './verbs/resolve.js';
import { addRuns } from './verbs/runs.js';
import { addSbom } from './verbs/sbom.js';
import { addSign } from './verbs/sign.js';
import { addStatus } from './verbs/status.js';
import { addTag } from './verbs/tag.js';
import { addVerify } from './verbs/verify.js';
import { addVersion, versionText } from './verbs/version.js';
import type { VerbContext } from './verb.js';

/** Each command has its own examples. */
const AFTER_HELP = `
Exit codes:
  0    done; also if a deletion was not confirmed, or if --force deletes content that does not exist
  1    failed; standard error has the reason and an error code (docs/reference/errors.md)
  2    explain --exit-code: it is not promoted; sbom diff --exit-code: they differ
  3    explain: a registry could not be asked
  130  interrupted

Examples:
  Show what refers to an image:
    acr-promoter discover localhost:5000/hello:v1

  Show the options of a command:
    acr-promoter copy --help`;

type Add = (program: Command, context: VerbContext) => void;

const addCertificate: Add = (program, context) => {
  const certificate = addExamples(program.command('certificate').description('Certificates for signing keys'), [
    [
      'Make a self-signed certificate for a key in Key Vault',
      'acr-promoter certificate create https://myvault.vault.azure.net/keys/signing --subject CN=release -o signing.pem',
    ],
  ]);
  addCertificateCreate(certificate, context);
};

const addManifest: Add = (program, context) => {
  const manifest = addExamples(program.command('manifest').description('Manifest operations'), [
    ['Show the manifest of a tag', 'acr-promoter manifest fetch --pretty localhost:5000/hello:v1'],
    ['Push a manifest under another tag', 'acr-promoter manifest push localhost:5000/hello:v2 manifest.json'],
  ]);
  addManifestFetch(manifest, context);
  addManifestFetchConfig(manifest, context);
  addManifestPush(manifest, context);
  addManifestDelete(manifest, context);
  const index = addExamples(manifest.command('index').description('Index operations'), [
    [
      'Make an index of two platforms',
      'acr-promoter manifest index create localhost:5000/hello:v1 linux-amd64 linux-arm64',
    ],
    ['Add a third platform', 'acr-promoter manifest index update localhost:5000/hello:v1 --add linux-arm-v7'],
  ]);
  addManifestIndexCreate(index, context);
  addManifestIndexUpdate(index, context);
};

const addBlob: Add = (program, context) => {
  const blob = addExamples(program.command('blob').description('Blob operations'), [
    ['Save a blob to a file', 'acr-promoter blob fetch --output hi.txt localhost:5000/hello@sha256:…'],
    ['Push a file as a blob', 'acr-promoter blob push localhost:5000/hello hi.txt'],
  ]);
  addBlobFetch(blob, context);
  addBlobPush(blob, context);
  addBlobDelete(blob, context);
};

const addJobCommands: Add = (program, context) => {
  const jobs = addExamples(program.command('jobs').description('Jobs of a deployed app'), [
    ['Submit a job and wait for it', 'acr-promoter jobs submit --wait job.json'],
    ['Show the state of a job', 'acr-promoter jobs status <id>'],
  ]);
  addJobs(jobs, context);
};

const addRepo: Add = (program, context) => {
  const repo = addExamples(program.command('repo').alias('repository').description('Repository operations'), [
    ['List the repositories of a registry', 'acr-promoter repo ls localhost:5000'],
    ['List the tags of a repository', 'acr-promoter repo tags localhost:5000/hello'],
  ]);
  addRepoLs(repo, context);
  addRepoTags(repo, context);
};

/** The commands by name, in the order of the help. */
const COMMANDS: Readonly<Record<string, Add>> = {
  push: addPush,
  pull: addPull,
  attach: addAttach,
  copy: addCopy,
  discover: addDiscover,
  resolve: addResolve,
  tag: addTag,
  promote: addPromote,
  verify: addVerify,
  sbom: addSbom,
  sign: addSign,
  certificate: addCertificate,
  manifest: addManifest,
  blob: addBlob,
  jobs: addJobCommands,
  promotions: addPromotions,
  runs: addRuns,
  explain: addExplain,
  status: addStatus,
  repo: addRepo,
  login: addLogin,
  logout: addLogout,
};

/** @param only name of a command: the others are left out, because to define them is a tenth of the start */
export function createProgram(io: Io, only = ''): Command {
  const program = new Command('acr-promoter')
    .description(
      'Copies images and artifacts between registries and OCI image layouts, with everything that refers to them, and shows promotions.',
    )
    .version(versionText(io), '--version', 'show the version')
    .exitOverride()
    // `runs` and `promotions` have options, and so have the commands below them.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => io.out(text),
      // Usage that commander prints by itself goes to standard output; `run` writes errors.
      writeErr: (text) => text.startsWith('Usage:') && io.out(text),
      getOutHelpWidth: () => 110,
      getErrHelpWidth: () => 110,
    })
    .configureHelp({ subcommandTerm })
    .showSuggestionAfterError(true)
    .addHelpText('after', AFTER_HELP);
  const context = { io, door: createSubmitDoor(io) };
  const asked = Object.hasOwn(COMMANDS, only) ? [COMMANDS[only]] : Object.values(COMMANDS);
  for (const add of asked) add?.(program, context);
  addCompletion(program, context);
  addVersion(program, context);
  addHelpCommand(program, io);
  return program;
}

/** One line with the code, and the remedy below it. @param command the one that was called */
function formatFailure(error: unknown, command: Command): string {
  if (error instanceof UsageError) return `Error: ${error.message}\nUsage: ${error.usage}\n${error.remedy ?? ''}\n`;
  if (error instanceof CommanderError) return formatWrongUse(error, command);
  const { code, message, remedy } = describeError(error);
  const line = message.replaceAll(/\s*\n\s*/g, ' ');
  return `Error: ${line} (${code})\n${remedy === undefined ? '' : `${remedy}\n`}`;
}

/** Runs one command. @returns the exit code, as the help says. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const program = createProgram(io, argv[0]);
  const { argv: rewritten, command } = readLine(withoutVainHelp(argv, program), program);
  try {
    await program.parseAsync(rewritten, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help')) return 0;
    if (io.signal.aborted) {
      io.err('Error: interrupted (INTERRUPTED)\n');
      return 130;
    }
    const colors = colorsOf({ ...(io.terminal && { outColumns: io.terminal.columns() }), env: io.env });
    io.err(formatFailure(error, command).replace(/^Error:/, colors.bad));
    return exitCodeOf(error);
  }
}
