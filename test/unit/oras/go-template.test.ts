import { describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { FUNCTION_NAMES } from '../../../src/oras/go-template/functions.js';
import { renderGoTemplate } from 'acr-promoter/oras';
import fc from 'fast-check';
import { propertyRuns } from '../../support/property-runs.js';

const DATA = {
  reference: 'r.azurecr.io/app@sha256:aaa',
  digest: 'sha256:aaa',
  size: 552,
  big: 1_500_000,
  nothing: null,
  tags: [] as string[],
  referrers: [
    { digest: 'sha256:bbb', artifactType: 's/b', annotations: { 'org.example.a': '<1>' }, referrers: [] },
    { digest: 'sha256:ccc', artifactType: 't/b', referrers: [] },
  ],
};

function nested(depth: number): string {
  return '('.repeat(depth);
}

test('docs/reference/command-line.md names exactly the existing functions', async () => {
  const page = await readFile('docs/reference/command-line.md', 'utf8');
  const listed = /- Functions, Go's own and Sprig's:([^.]*)\./.exec(page)?.[1] ?? '';
  expect([...listed.matchAll(/\w+/g)].map(([name]) => name)).toEqual(FUNCTION_NAMES);
});

describe('renderGoTemplate', () => {
  test.each([
    ['{{.reference}}', 'r.azurecr.io/app@sha256:aaa'],
    ['{{.nope}} {{.nope.nope}} {{.nothing}}', '<no value> <no value> <no value>'],
    ['{{println .digest .size}}', 'sha256:aaa 552\n'],
    ['{{range .referrers}}{{println .digest}}{{else}}none{{end}}', 'sha256:bbb\nsha256:ccc\n'],
    ['{{range .tags}}x{{else}}none{{end}}', 'none'],
    ['{{range $i, $e := .referrers}}{{$i}}={{$e.artifactType}} {{end}}', '0=s/b 1=t/b '],
    ['{{range $e := .referrers}}{{$e.digest}}{{$.size}} {{end}}', 'sha256:bbb552 sha256:ccc552 '],
    ['{{(first .referrers).digest}} {{(last .referrers).digest}}', 'sha256:bbb sha256:ccc'],
    ['{{index .referrers 0 "annotations" "org.example.a"}}', '<1>'],
    ['{{index . "nope"}}', '<no value>'],
    ['{{toJson (first .referrers).annotations}}', '{"org.example.a":"\\u003c1\\u003e"}'],
    ['{{toPrettyJson .tags}}{{toRawJson (list "<" 1 nil)}}', '[]["<",1,null]'],
    ['{{first .tags}}', '<no value>'],
    ['{{len .referrers}} {{.digest | len | printf "%d"}}', '2 10'],
    ['{{if eq (len .referrers) 2}}two{{end}}', 'two'],
    ['{{if .nope}}a{{else if .size}}b{{else}}c{{end}}', 'b'],
    ['{{with .nope}}a{{else with .size}}{{.}}{{end}}', '552'],
    ['{{with $x := .size}}{{$x}}{{end}}', '552'],
    [
      '{{printf "%s %v %d %q %5d|%-5d|%05.1f" .digest .size 2 "a\\tb" 1 2 .size}}',
      'sha256:aaa 552 2 "a\\tb"     1|2    |552.0',
    ],
    [
      '{{printf "%s" .nope}} {{printf "%d %%" .size}} {{printf "%v"}} {{printf "" 1}}',
      '%!s(<nil>) %!d(float64=552) % %!v(MISSING) %!(EXTRA int=1)',
    ],
    ['{{print 1 2 "a" "b" 3}} {{print 1.0 2.5 true nil}}', '1 2ab3 1 2.5 true <nil>'],
    [
      '{{.big}} {{1500000.0}} {{100000.0}} {{0.0001}} {{0.00001}} {{-12.5}} {{1e20}}',
      '1.5e+06 1.5e+06 100000 0.0001 1e-05 -12.5 1e+20',
    ],
    ['{{0x10}} {{-5}} {{1_000}} {{\'a\'}} {{"\\x41\\101\\n"}}{{`raw\\n`}}', '16 -5 1000 97 AA\nraw\\n'],
    ['{{range .referrers -}} {{ .digest }} {{- end }}', 'sha256:bbbsha256:ccc'],
    ['a {{- /* a comment */ -}} b', 'ab'],
    ['{{range .referrers}}{{.digest}}{{break}}{{end}}', 'sha256:bbb'],
    ['{{range .referrers}}{{if eq .artifactType "s/b"}}{{continue}}{{end}}{{.digest}}{{end}}', 'sha256:ccc'],
    ['{{range 3}}{{.}}{{end}}', '012'],
    ['{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{end}}{{$x}}', '2'],
    ['{{range $k, $v := (first .referrers).annotations}}{{$k}}{{end}}', 'org.example.a'],
    ['{{and 1 0}} {{or 0 "x"}} {{not true}} {{and .nope .nope.x}}', '0 x false <no value>'],
    [
      '{{eq .nope "x"}} {{eq .nope .nothing}} {{eq "a" "b" "a"}} {{lt 1 2}} {{ge "b" "a"}} {{eq 552.0 .size}}',
      'false true true true true true',
    ],
    [
      '{{trimPrefix "sha256:" .digest | upper}} {{join "," (list "a" 1)}} {{splitList ":" .digest}}',
      'AAA a,1 [sha256 aaa]',
    ],
    [
      '{{default "z" .nope}} {{.nope | default "y"}} {{coalesce "" "c"}} {{ternary "a" "b" false}} {{empty ""}}',
      'z y c b true',
    ],
    [
      '{{trunc 6 .digest}} {{trunc -3 .digest}} {{replace "a" "$&" "aa"}} {{contains "a" "abc"}}',
      'sha256 aaa $&$& true',
    ],
    [
      '{{keys . | sortAlpha | first}} {{hasKey . "digest"}} {{has "a" (list "a")}} {{dict "a" 1 | toJson}}',
      'big true true {"a":1}',
    ],
    ['{{$x := 7}}{{range 1000}}{{$x = mul $x $x}}{{end}}{{len (print $x) | lt 30}}', 'false'],
    ['{{indent 1000000000 "a" | len}}', '1001'],
    ['{{add 1 2}} {{sub 3 1}} {{.size | int | printf "%d"}}', '3 2 552'],
    [
      '{{quote 1 "b"}} {{squote "a"}} {{uniq (list 1 1)}} {{rest (list 1 2)}} {{initial (list 1 2)}}',
      '"1" "b" \'a\' [1] [2] [1]',
    ],
    [
      '{{.referrers}}',
      '[map[annotations:map[org.example.a:<1>] artifactType:s/b digest:sha256:bbb referrers:[]] map[artifactType:t/b digest:sha256:ccc referrers:[]]]',
    ],
    ['{{(fromJson "{\\"a\\":[1]}").a}}', '[1]'],
    ['{{.constructor}} {{.__proto__}} {{index . "toString"}}', '<no value> <no value> <no value>'],
    ['no action } }} { {', 'no action } }} { {'],
  ])('%s is rendered as %s', (template, expected) => {
    expect(renderGoTemplate(template, DATA)).toBe(expected);
  });

  test.each([
    '{{bad',
    '{{nofunc 1}}',
    '{{.a | nofunc}}',
    '{{end}}',
    '{{if}}x{{end}}',
    '{{if .a}}x',
    '{{else}}',
    '{{break}}',
    '{{$x}}',
    '{{true}} {{nil}}',
    '{{(.a}}',
    '{{.a)}}',
    '{{1a}}',
    '{{"a}}',
    '{{"\\q"}}',
    '{{.a | 1}}',
    '{{.a |}}',
    '{{range .a}}{{else}}{{else}}{{end}}',
    '{{template "x"}}',
    '{{env "HOME"}}',
    '{{expandenv "$HOME"}}',
    '{{#a}}',
    '{{range $a, 1 := .b}}{{end}}',
    `{{${nested(100)}}}`,
    '{{if .a}}'.repeat(100),
    'x'.repeat(70_000),
  ])('refused: %.60s', (template) => {
    expect(() => renderGoTemplate(template, DATA)).toThrow(expect.objectContaining({ code: 'TEMPLATE_INVALID' }));
  });

  test.each([
    '{{$x := list 1}}{{range 100}}{{$x = list $x $x}}{{end}}{{toJson $x}}',
    '{{$x := "aa"}}{{range 100}}{{$x = printf "%s%s" $x $x}}{{end}}',
    '{{$x := "aa"}}{{range 100}}{{$x = replace "a" $x $x}}{{end}}',
    '{{$x := list}}{{range 100000}}{{$x = list $x}}{{end}}{{$x}}',
    '{{$x := printf "%1000d" 1}}{{$y := printf "%s%s%s%s%s%s%s%s" $x $x $x $x $x $x $x $x}}{{range 1000000}}{{upper $y | len | eq 1}}{{end}}',
  ])('uses up what it may: %s', (template) => {
    expect(() => renderGoTemplate(template, DATA)).toThrow(expect.objectContaining({ code: 'TEMPLATE_FAILED' }));
  });

  test('every template is rendered or refused', () => {
    const words = fc.constantFrom(
      '{{',
      '}}',
      '{{-',
      '-}}',
      ' ',
      '.',
      '.digest',
      '.referrers',
      '$',
      '$x',
      ':=',
      '=',
      '|',
      '(',
      ')',
      ',',
      'range',
      'if',
      'else',
      'end',
      'with',
      'break',
      'index',
      'first',
      'printf',
      'toJson',
      'eq',
      'len',
      'and',
      '"%v"',
      '`raw`',
      "'a'",
      '0',
      '1',
      '-2',
      '0x',
      '0b_',
      '1e5',
      '08',
      'nil',
      'true',
      'list',
      'dict',
      'join',
      'trunc',
      '/*',
      '*/',
      '\\n',
      'é',
      '{{end}}',
      '{{range .referrers}}',
      '{{if .digest}}',
      '{{println . }}',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
        const template = parts.join('');
        try {
          renderGoTemplate(template, DATA);
        } catch (error) {
          expect({ template, code: (error as { code?: string }).code }).toEqual({
            template,
            code: expect.stringMatching(/^TEMPLATE_(?:INVALID|FAILED)$/),
          });
        }
      }),
      { numRuns: propertyRuns(3000) },
    );
  });

  test.each([
    '{{.size.x}}',
    '{{.referrers.digest}}',
    '{{range .size}}{{end}}',
    '{{range .digest}}{{end}}',
    '{{eq .size 1}}',
    '{{lt .nope 1}}',
    '{{index .referrers 5}}',
    '{{index .referrers .size}}',
    '{{index .size 1}}',
    '{{first "abc"}}',
    '{{first .nope}}',
    '{{len .nope}}',
    '{{.digest "a"}}',
    '{{"a" "b"}}',
    '{{1 | .digest}}',
    '{{eq (list 1) (list 1)}}',
    '{{len}}',
    '{{and}}',
    '{{upper 1}}',
    '{{keys "a"}}',
    '{{printf "%x" 1}}',
    '{{range 1000000000}}{{end}}',
    '{{range 1000}}{{range 10000}}{{end}}{{end}}',
    '{{range 100000}}{{printf "%1000d" 1}}{{end}}',
  ])('fails: %s', (template) => {
    expect(() => renderGoTemplate(template, DATA)).toThrow(expect.objectContaining({ code: 'TEMPLATE_FAILED' }));
  });
});
