import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseGemspec } from '../../../src/sbom/catalogers/gemspec.js';
import { rubyCataloger } from '../../../src/sbom/catalogers/ruby.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

/** As RubyGems 3.3 writes it. */
const RACK = `# -*- encoding: utf-8 -*-
# stub: rack 3.0.8 ruby lib
# stub: ext/extconf.rb

Gem::Specification.new do |s|
  s.name = "rack".freeze
  s.version = "3.0.8"

  s.required_rubygems_version = Gem::Requirement.new(">= 0".freeze) if s.respond_to? :required_rubygems_version=
  s.metadata = { "source_code_uri" => "s.version = \\"9\\"" } if s.respond_to? :metadata=
  s.authors = ["Andr\\u00E9".freeze]
  s.description = "first\\n  s.version = \\"9\\"".freeze
  s.licenses = ["MIT".freeze, "", "Ruby \\u{e9}, \\#{x}".freeze]
  s.add_runtime_dependency(%q<webrick>.freeze, ["~> 1.8".freeze])
  s.add_development_dependency(%q<minitest>.freeze, ["~> 5.0".freeze])
  s.add_dependency("base64".freeze)
end
`;

function find(...files: [path: string, content: string][]): ReturnType<NonNullable<typeof rubyCataloger.combine>> {
  const found = files.map(([path, content]) => ({
    path,
    layer: 'sha256:0' as const,
    reading: content === '' ? {} : { facts: parseGemspec(content) },
  }));
  return rubyCataloger.combine?.(found, { has: () => false }) ?? { packages: [] };
}

describe('a gemspec', () => {
  test('gives name, version, licences and dependencies', async () => {
    const reading = await rubyCataloger.read(layerFile(RACK));
    expect(reading).toEqual({
      facts: {
        name: 'rack',
        version: '3.0.8',
        licenses: ['MIT', 'Ruby é, #{x}'],
        dependsOn: ['webrick', 'base64'],
        isContradictory: false,
      },
    });
  });

  test.each([
    ['"ra" + "ck"', undefined],
    ['"rack".sub("a", "o")', undefined],
    ['"rack" if false', undefined],
    ['"rack".freeze # the name', 'rack'],
    ["'rack';", 'rack'],
  ])('with the name %s has the name %s', (code, name) => {
    expect(parseGemspec(`  s.name = ${code}\n  s.version = Gem::Version.new("1.0".freeze)\n`)).toMatchObject({
      ...(name !== undefined && { name }),
      version: '1.0',
    });
    expect(parseGemspec(`  s.name = ${code}`).name).toBe(name);
  });

  test('owns the folder of its gem, and that of its extensions', () => {
    const home = 'usr/local/bundle';
    const files: [string, string][] = [
      [`${home}/extensions/x86_64-linux/3.3.0/rack-3.0.8/gem.build_complete`, ''],
      [`${home}/extensions/x86_64-linux/3.3.0/other-1/gem.build_complete`, ''],
      [`${home}/specifications/rack-3.0.8.gemspec`, RACK],
      ['usr/lib/ruby/gems/3.1.0/specifications/default/rack-3.0.8.gemspec', RACK],
    ];
    expect(find(...files).packages.map(({ owns }) => owns)).toEqual([
      ['/usr/local/bundle/gems/rack-3.0.8/', '/usr/local/bundle/extensions/x86_64-linux/3.3.0/rack-3.0.8/'],
      ['/usr/lib/ruby/gems/3.1.0/gems/rack-3.0.8/'],
    ]);
  });

  test('of one platform has it in its package and in its folder', () => {
    const text = RACK.replace('3.0.8 ruby', '3.0.8 x86_64-linux').replace(
      's.version',
      's.platform = "x86_64-linux"\n  s.version',
    );
    expect(find(['specifications/a.gemspec', text]).packages).toMatchObject([
      { type: 'gem', name: 'rack', qualifiers: { platform: 'x86_64-linux' }, owns: ['/gems/rack-3.0.8-x86_64-linux/'] },
    ]);
  });

  test.each([
    ['Gem::Version', 's.version = Gem::Version.new("1.2".freeze)', '1.2'],
    ['single quotes', "s.version = '1.2'", '1.2'],
    ['%q', 's.version = %q<1.2>', '1.2'],
    ['a constant', 's.version = Foo::VERSION', undefined],
    ['interpolation', 's.version = "1.#{minor}"', undefined],
    ['a comment', '# s.version = "1.2"', undefined],
    ['spaces', 's.version = "1 2"', undefined],
  ])('without a stub line is read if its version is a literal: %s', (_, line, version) => {
    const text = `Gem::Specification.new do |s|\n  s.name = "a"\n  ${line}\nend\n`;
    const { packages, gaps } = find(['specifications/a.gemspec', text]);
    expect(packages.map((one) => one.version)).toEqual(version === undefined ? [] : [version]);
    expect(gaps?.map(({ detail }) => detail)).toEqual(
      version === undefined ? ['a gemspec without a literal name or version'] : undefined,
    );
  });

  test('whose stub line names another version is a gap', () => {
    const { packages, gaps } = find(['specifications/a.gemspec', RACK.replace('"3.0.8"', '"1.0"')]);
    expect(packages.map(({ version }) => version)).toEqual(['3.0.8']);
    expect(gaps).toEqual([
      {
        path: 'specifications/a.gemspec',
        cause: 'database-unreadable',
        detail: 'a gemspec whose first lines name another gem',
      },
    ]);
  });

  test('that is empty is a gap', () => {
    expect(find(['specifications/a.gemspec', '']).gaps).toHaveLength(1);
  });
});

test('gemspecs are found where RubyGems keeps them, and not in source folders', () => {
  for (const path of ['a/specifications/b.gemspec', 'specifications/default/b.gemspec']) {
    expect(rubyCataloger.wants(path)).toBe(true);
  }
  for (const path of ['a/b.gemspec', 'specifications/x/b.gemspec', 'gem.build_complete']) {
    expect(rubyCataloger.wants(path)).toBe(false);
  }
});

test('any Ruby is read without an error, in linear time, twice with the same result', async () => {
  const word = fc.constantFrom(
    's.name = ',
    's.version=',
    '"',
    "'",
    '\\',
    '#{',
    '[',
    ',',
    '%q<',
    '>',
    '\n',
    '# stub: a 1 b',
    ' ',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(word, fc.string())), async (words) => {
      const once = await rubyCataloger.read(layerFile(words.join('')));
      expect(await rubyCataloger.read(layerFile(words.join('')))).toEqual(once);
    }),
    { numRuns: propertyRuns(20_000, 200) },
  );
  for (const piece of ['"\\', 's.name = "', '# stub: ', 's.licenses = ["a",', '\n  s.version = ']) {
    await rubyCataloger.read(layerFile(piece.repeat(2_000_000 / piece.length)));
  }
});
