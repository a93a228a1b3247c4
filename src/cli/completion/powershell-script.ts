import type { CommandWords } from './command-words.js';

/** Single quotes for PowerShell, where curly ones end the string as well. */
function quote(text: string): string {
  return `'${text.replaceAll(/['\u2018\u2019\u201a\u201b]/g, "''")}'`;
}

/** `word=description`, because PowerShell flattens a list of one pair. */
function table(commands: readonly CommandWords[], entriesOf: (command: CommandWords) => [string, string][]): string {
  const rows = commands.map((command) => {
    const entries = entriesOf(command).map(([word, description]) => quote(`${word}=${description}`));
    return `    ${quote(command.path)} = @(${entries.join(', ')})`;
  });
  return `@{\n${rows.join('\n')}\n  }`;
}

/** The completion script for PowerShell 5.1 and later. PowerShell completes files itself. */
export function powershellScript(commands: readonly CommandWords[]): string {
  const words = table(commands, ({ subcommands }) => subcommands.map(({ name, description }) => [name, description]));
  const options = table(commands, (command) => command.options.map(({ long, description }) => [long, description]));
  const values = commands.flatMap(({ path, options: known }) =>
    known.flatMap(({ long, short, values: some = [] }) => {
      const names = some.length === 0 ? [] : [long, ...(short === undefined ? [] : [short])];
      return names.map((name) => `    ${quote(`${path} ${name}`)} = @(${some.map(quote).join(', ')})`);
    }),
  );
  return `# PowerShell completion for acr-promoter. In $PROFILE: acr-promoter completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName 'acr-promoter' -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = ${words}
  $options = ${options}
  $values = @{
${values.join('\n')}
  }
  $path = ''
  $option = ''
  foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
    if ($wordToComplete -ne '' -and $element.Extent.EndOffset -ge $cursorPosition) { break }
    if ($words.ContainsKey("$path $element")) { $path = "$path $element" }
    $option = "$element"
  }
  $entries = if ($values.ContainsKey("$path $option")) { $values["$path $option"] } elseif ($wordToComplete.StartsWith('-')) { $options[$path] } else { $words[$path] }
  foreach ($entry in $entries) {
    $word, $description = $entry.Split([char[]]'=', 2)
    if (-not $word.StartsWith($wordToComplete)) { continue }
    if ($description -eq '') { $description = $word }
    [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $description)
  }
}
`;
}
