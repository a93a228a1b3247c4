import type { Command } from 'commander';
import { PromoterError } from '../../oci/index.js';
import { colorsOf, type Colors } from '../output/colors.js';
import { formatResult } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import type { VerbContext, VerbDescription } from '../verb.js';
import { defineAppVerb } from '../app/app-verb.js';
import { askApp } from '../app/ask-app.js';
import type { ShownStatus } from '../app/answers.js';

const VERB: VerbDescription = {
  path: 'status',
  operands: '',
  count: 0,
  summary: 'Show whether the app works, and its problems; exit code 1 if it has any',
  examples: [
    ['The status of one app', 'acr-promoter status --app https://myapp.azurewebsites.net'],
    ['Only the number of messages in its queues', "acr-promoter status --format go-template='{{.backlog}}'"],
  ],
};

type Problem = ShownStatus['problems'][number];

function problemLines(kind: string, { code, setting, message, remedy }: Problem): string[] {
  const about = setting === undefined || message.startsWith(`${setting}:`) ? '' : `${setting}: `;
  return [`${kind}: ${about}${message} (${code})`, ...(remedy === undefined ? [] : [`  ${remedy}`])];
}

function countsText(counts: Record<string, number> | undefined): string {
  return Object.entries(counts ?? {})
    .map(([queue, count]) => `${queue} ${count}`)
    .join(', ');
}

const NAME_COLUMNS = 12;

function statusText(status: ShownStatus, colors: Colors): string {
  const {
    ok,
    version,
    problems,
    warnings,
    paused,
    registries = [],
    lastTick,
    rules,
    signing,
    backlog,
    poison,
    settings,
  } = status;
  const rows = [
    ['Works', ok ? 'yes' : 'no'],
    ['Version', version],
    ['Paused', paused === undefined ? '' : paused ? 'yes' : 'no'],
    ['Last tick', lastTick === undefined ? '' : `${lastTick.ageSeconds} s ago`],
    ['Rules', rules === undefined ? '' : `${rules.count}, unchanged since ${rules.since}`],
    ['Registries', registries.map(({ host, signIn }) => `${host} (${signIn})`).join(', ')],
    ['Signing', signing === undefined ? '' : `${signing.key} (${signing.algorithm})`],
    ['Certificate', signing === undefined ? '' : `${signing.subject}, until ${signing.notAfter}`],
    ['Backlog', countsText(backlog)],
    ['Poison', countsText(poison)],
    ['Settings', settings.join(', ')],
  ] as const;
  const lines = [
    ...rows.filter(([, value]) => value !== '').map(([name, value]) => `${name.padEnd(NAME_COLUMNS)}${value}`),
    ...problems.flatMap((problem) => problemLines('Problem', problem)),
    ...warnings.flatMap((warning) => problemLines('Warning', warning)),
  ];
  const paint = (line: string): string =>
    line
      .replace(/^Problem:/, colors.bad)
      .replace(/^Warning:/, colors.warning)
      .replace(/^(Works +)(yes|no)$/, (_, name: string, works: string) => `${name}${colors.state(works)}`);
  return lines.map((line) => `${paint(onTerminal(line))}\n`).join('');
}

/** `status` */
export function addStatus(parent: Command, context: VerbContext): void {
  defineAppVerb(parent, context, VERB, {}, async ({ app, format, io }) => {
    const answer = await askApp(app, 'status', io);
    const status = (await import('../app/answers.js')).readStatus(answer);
    io.out(format.kind === 'text' ? statusText(status, colorsOf(io)) : formatResult(format, answer));
    if (status.ok) return;
    const names = status.problems.map(({ setting, code }) => setting ?? code);
    throw new PromoterError('APP_NOT_WORKING', `${app.url} has problems: ${names.join(', ')}`, {
      remedy:
        'Correct the listed problems, then restart the app: it reads settings only at start. Messages wait until then.',
    });
  });
}
