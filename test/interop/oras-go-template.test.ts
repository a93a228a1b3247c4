import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { runOurs, runProgram } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

/** What scripts write, and the corners of the language in which a second implementation goes wrong first. */
const TEMPLATES = [
  '{{.reference}}',
  '{{range .referrers}}{{println .digest}}{{end}}',
  '{{range .referrers}}{{.artifactType}}: {{len .referrers}}\n{{else}}none{{end}}',
  '{{(first .referrers).digest}}',
  '{{(index .referrers 0).digest}} {{index .referrers 1 "artifactType"}}',
  '{{range $i, $e := .referrers}}{{if $i}},{{end}}{{$e.digest}}{{end}}',
  '{{range .referrers}}{{if eq .artifactType "a/b"}}{{.digest}}{{end}}{{end}}',
  '{{range .referrers}}{{index .annotations "org.example.key"}}{{end}}',
  '{{toJson .}}',
  '{{toPrettyJson .referrers}}',
  '{{.}}',
  '{{.nope}} {{.nope.nope}} {{index . "nope"}}',
  '{{println .digest .size}}{{print .size "x" 1 2}}',
  '{{printf "%s %v %d %q %6d|%-6d|%06.2f %t %%" .digest .size 2 "a\\tbé" 1 2 .size true}}',
  '{{printf "%s %d %v" .nope .size}} {{printf "x" 1}}',
  "{{1500000.0}} {{100000.0}} {{123456789012345678901.0}} {{0.0001}} {{0.00001}} {{1e21}} {{-0.5}} {{0x10}} {{1_000}} {{'a'}}",
  '{{"\\x41\\101\\u00e9"}}{{`raw\\n`}}',
  '{{if and .size (not .nope)}}yes{{else if .digest}}no{{end}}{{or .nope "x"}}',
  '{{with .nope}}a{{else with .size}}{{.}}{{end}}{{with $x := .size}}{{$x}}{{end}}',
  'a  {{- .size -}}  b {{- /* c */ -}} d',
  '{{range .referrers}}{{.size}}{{break}}{{end}}{{range 3}}{{.}}{{end}}',
  '{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{end}}{{$x}}',
  '{{.digest | trimPrefix "sha256:" | trunc 12 | upper}}',
  '{{default "z" .nope}} {{.nope | default "y"}} {{coalesce "" "c"}} {{ternary "a" "b" true}} {{empty ""}}',
  '{{splitList ":" .digest | first}} {{join "," (list "a" 1)}} {{replace "a" "b" "aa"}} {{contains "a" "ba"}}',
  '{{keys . | sortAlpha}} {{hasKey . "digest"}} {{get . "nope"}} {{dict "a" 1 | toJson}} {{has 1 (list 1)}}',
  '{{quote 1 "b"}} {{squote "a"}} {{uniq (list 1 1)}} {{rest (list 1 2)}} {{initial (list 1 2)}} {{first (list)}}',
  '{{int .size | printf "%d"}} {{add 1 2}} {{sub 3 1}} {{toString 1}} {{toRawJson "<"}} {{toJson "<"}}',
  '{{eq .nope "x"}} {{eq .nope .nope2}} {{eq "a" "b" "a"}} {{lt 1 2}} {{ge "b" "a"}} {{ne 1 2}}',
  '{{len .digest}} {{lower "AB"}} {{trim " a "}} {{hasPrefix "sha" .digest}} {{trimSuffix "c" "abc"}}',
  '{{b64enc "héllo"}} {{sha256sum .digest}}',
  '{{substr 0 7 .digest}}|{{substr 2 -1 "abc"}}|{{substr -1 2 "abc"}}|{{substr 1 9 "é"}}',
  '{{title "ab cd-ef g1h don\'t éa"}}',
  '{{mustToJson .}}{{mustToPrettyJson (list 1 "<")}}{{mustToRawJson "<"}}',
  '{{pick . "digest" "x" | toJson}} {{omit (dict "a" 1 "b" 2) "b"}} {{pluck "digest" . .}} {{pluck "x" .}}',
  '{{reverse (list 1 2)}} {{reverse .referrers | first | toJson}}',
  '{{mul 3 4}} {{mul 2 .size}} {{mul 4611686018427387904 4}} {{div -7 2}} {{mod -7 2}} {{max 1 2 3}} {{min 2 1}}',
  '{{add 9223372036854775807 1}} {{sub -9223372036854775807 2}} {{mul 5}}',
  '{{indent 2 "a\\nb"}}|{{nindent 2 "a"}}',
  '{{typeOf .size}} {{typeOf .}} {{typeOf 1}} {{typeOf .nope}} {{kindOf 1}} {{kindOf .}} {{kindOf (list 1)}} {{kindOf .nope}}',
  // Refused, each for a reason of its own.
  '{{bad',
  '{{nofunc 1}}',
  '{{end}}',
  '{{if}}x{{end}}',
  '{{if .a}}x',
  '{{break}}',
  '{{$x}}',
  '{{nil}}',
  '{{.size.x}}',
  '{{.referrers.digest}}',
  '{{range .size}}{{end}}',
  '{{range .digest}}{{end}}',
  '{{eq .size 1}}',
  '{{lt .nope 1}}',
  '{{index .referrers 9}}',
  '{{first "abc"}}',
  '{{first .nope}}',
  '{{len .nope}}',
  '{{.digest "a"}}',
  '{{"a" "b"}}',
  '{{1 | .digest}}',
  '{{upper 1}}',
  '{{substr 5 9 "abc"}}',
  '{{substr -1 9 "abc"}}',
  '{{div 1 0}}',
  '{{pick 1 "a"}}',
  '{{b64enc 1}}',
];

describeWithPeers('templates, compared with oras', ['oras'], ([oras = '']) => {
  let folder = '';
  let registry: RunningRegistry;
  let app = '';
  const theirs = (...argv: string[]) => runProgram(oras, argv, { cwd: folder, env: { HOME: folder } });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'oras-templates-'));
    registry = await startRegistry({ dataDir: join(folder, 'data'), anonymous: true, users: [] });
    app = `localhost:${registry.port}/samples/app:v1`;
    await writeFile(join(folder, 'a.txt'), 'hello');
    await theirs('push', app, 'a.txt');
    await theirs('attach', app, 'a.txt', '--artifact-type', 'a/b', '--annotation', 'org.example.key=<value>');
    await theirs('attach', app, 'a.txt', '--artifact-type', 'c/d');
  }, 60_000);
  afterAll(async () => {
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(TEMPLATES)('%s', async (template) => {
    const argv = ['discover', app, '--format', 'go-template', '--template', template];
    const [own, other] = [await runOurs(argv), await theirs(...argv)];
    expect(own.code).toBe(other.code);
    // What oras has printed when it finds that it can't go on, ours does not.
    expect(own.out).toBe(other.code === 0 ? other.out : '');
    if (other.code !== 0) expect(own.err).toMatch(/\(TEMPLATE_(?:INVALID|FAILED)\)\n/);
  });

  test.each([
    ['discover', '--format', 'go-template={{.size}}'],
    ['discover', '--format', 'go-template'],
    ['discover', '--format', 'json', '--template', '{{.size}}'],
    ['discover', '--template', '{{.size}}'],
    ['manifest', 'fetch', '--format', 'go-template', '--template', '{{.digest}} {{(first .content.layers).size}}'],
    ['manifest', 'fetch', '--format', 'go-template={{toJson .}}'],
    ['manifest', 'fetch', '--format', 'go-template={{.digest}}', '--descriptor'],
    ['repo', 'tags', '--format', 'go-template={{range .tags}}{{println .}}{{end}}'],
    ['repo', 'tags', '--format', 'go-template', '--template', '{{join "," .tags}}'],
  ])('%s %s %s %s', async (...argv) => {
    const [own, other] = [await runOurs([...argv, app]), await theirs(...argv, app)];
    expect({ code: own.code, out: own.out }).toEqual({ code: other.code, out: other.out });
  });
});
