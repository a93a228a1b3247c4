// Fails on phrases that a reader has to read twice, in every tracked text file, and prints the better words.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** [phrase, better words]. A space in a phrase also matches a line break inside a comment. */
const PHRASES = [
  ['as it comes', 'by default'],
  ['a run is at it', 'in progress: comparing source and destination'],
  ['observe working', 'comparing source and destination'],
  ['until it ends,', 'until it finishes, X keeps its current image'],
  ['no rule want(?:s|ed)', 'no rule matches'],
  ['nothing has told of', 'no push event or schedule run has seen it yet'],
  ['(?:tell|tells|told|telling)(?: (?:it|them|us|him|her|me|you|nobody|somebody))? of', 'reports'],
  ['whoever', 'anybody who, the caller that'],
  ['(?:an?|no) SBOM of ours', 'no SBOM or signature from this app yet'],
  ['answers 404 MANIFEST_UNKNOWN to', 'tag X not found in REPOSITORY'],
  ['what has been wanted meanwhile', 'queued promotions start at the next schedule tick'],
  ['what was promoted stays', 'the promoted copy stays'],
  ['is not signed by us', 'no signature from this app yet'],
  ['takes a larger number', 'More results: raise --limit.'],
  ['jobs may not', 'this app does not allow push jobs'],
  ['Widen a rule', 'Change a rule to include it'],
  ['going on with', 'resuming'],
  ['those of this rule', 'only this rule'],
  ['so many at most', 'maximum rows'],
  ['wait so long', 'maximum wait'],
  ['as many as are wanted', 'repeatable'],
  ['that the one before has nothing in', 'repeatable; later files are used when earlier ones have no entry'],
  ['though the manifest is', 'accepted for oras compatibility; no effect'],
  ['one that there is none of', "Remove a registry's stored credential, if any"],
  ['it is not, whatever', 'failed; stderr has the reason and an error code'],
  ['the signing in', 'authenticates'],
  ['the way it goes', 'the steps are the same as in Azure'],
  ['looking at it', 'Status and troubleshooting'],
  ['what it does not promise', 'Known limits'],
  ['where nobody does any more', 'if one is still waiting'],
  ['a time to come', 'a timestamp in the future'],
  ['trouble on the way', 'a transient error'],
  ['has a default is no wish', 'Skip options that still have their default value.'],
  ['what it has not come to', 'the next tick continues with'],
  ['(?:comes?|came) to rest', 'the run ends as …'],
  ['wait(?:s|ed)? for what is to be', 'wait until …'],
  ['absorb(?:s|ed)?', 'coalesced'],
  ['standing rules?', 'rule'],
  ['owner rows?', 'destination claim'],
  ['rule hash', 'fingerprint'],
  ['deep (?:pass|look)(?:es|s)?', 'resync'],
  ['(?:put|puts|putting) off', 'backs off, retry'],
  ['patience', 'deadline'],
  ['giveUpAt', 'deadline'],
  ['kept answers', 'checkpoint'],
];
/** Not written by us, not prose, or this list itself. */
const NOT_OURS = /^(?:package-lock\.json|LICENSE|tools\/plain-words\.mjs)$|\.(?:png|tgz|tar|gz|zip|pem|bin)$/;

const patterns = PHRASES.map(([phrase, better]) => [new RegExp(`\\b${phrase}\\b`, 'gi'), better]);
// A line break, with the next line's comment or quotation mark, reads as one space; `lineAt` finds the line again.
const LINE_BREAK = /[ \t]*\r?\n[ \t]*(?:(?:\/\/|\*|#|>)[ \t]?)?/g;

function problemsIn(path, text) {
  const starts = [0];
  let flat = '';
  let from = 0;
  for (const found of text.matchAll(LINE_BREAK)) {
    flat += `${text.slice(from, found.index)} `;
    from = found.index + found[0].length;
    starts.push(flat.length);
  }
  flat += text.slice(from);
  const lineAt = (offset) => starts.findLastIndex((start) => start <= offset) + 1;
  return patterns.flatMap(([pattern, better]) =>
    [...flat.matchAll(pattern)].map((found) => `${path}:${lineAt(found.index)}: "${found[0]}": ${better}`),
  );
}

const problems = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' })
  .split('\0')
  .filter((path) => path !== '' && !NOT_OURS.test(path))
  .flatMap((path) => {
    let text;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      return []; // deleted in the work tree, or a link to a folder
    }
    return text.includes('\0') ? [] : problemsIn(path, text);
  });
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length === 0 ? 0 : 1);
