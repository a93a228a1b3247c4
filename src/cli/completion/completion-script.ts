import type { CommandWords } from './command-words.js';
import { powershellScript } from './powershell-script.js';

export const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;

export type Shell = (typeof SHELLS)[number];

/** Single quotes for bash, zsh and fish. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function pathPattern(commands: readonly CommandWords[]): string {
  return commands.flatMap(({ path }) => (path === '' ? [] : [quote(path)])).join('|');
}

/** `case` patterns of an option behind its command, with the values to offer. */
function valueCases(commands: readonly CommandWords[]): (readonly [pattern: string, values: readonly string[]])[] {
  const cases = new Map<string, string[]>();
  for (const { path, options } of commands) {
    for (const { long, short, values } of options) {
      if (values === undefined) continue;
      const names = [long, ...(short === undefined ? [] : [short])].map((name) => quote(`${path} ${name}`));
      const key = values.join(' ');
      cases.set(key, [...(cases.get(key) ?? []), ...names]);
    }
  }
  return [...cases].map(([values, patterns]) => [patterns.join('|'), values.split(' ')] as const);
}

function bash(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ path, subcommands, options }) => {
    const words = subcommands.map(({ name }) => name).join(' ');
    const flags = options.map(({ long }) => long).join(' ');
    return `    ${quote(path)}) words=${quote(words)}; flags=${quote(flags)} ;;`;
  });
  return `# bash completion for acr-promoter. In ~/.bashrc: source <(acr-promoter completion bash)
_acr_promoter() {
  local cur=\${COMP_WORDS[COMP_CWORD]} option=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' flags='' i
  # --format=json is three words here.
  [[ $cur == = ]] && cur='' || { [[ $option == = ]] && option=\${COMP_WORDS[COMP_CWORD-2]}; }
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      ${pathPattern(commands)}) path="$path \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  [[ $cur == -* ]] && words=$flags
  case "$path $option" in
${valueCases(commands)
  .map(([pattern, values]) => `    ${pattern}) words=${quote(values.join(' '))} ;;`)
  .join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _acr_promoter acr-promoter
`;
}

/** zsh's lists are `word:description`, with a colon in the word escaped. */
function zshList(entries: readonly (readonly [string, string])[]): string {
  return entries
    .map(([word, description]) => {
      const escaped = word.replaceAll(':', '\\:');
      return quote(description === '' ? escaped : `${escaped}:${description}`);
    })
    .join(' ');
}

function zsh(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ path, subcommands, options }) => {
    const words = zshList(subcommands.map(({ name, description }) => [name, description] as const));
    const flags = zshList(options.map(({ long, description }) => [long, description] as const));
    return `    (${quote(path)}) names=(${words}); flags=(${flags}) ;;`;
  });
  return `#compdef acr-promoter
# zsh completion for acr-promoter. In ~/.zshrc: source <(acr-promoter completion zsh)
_acr_promoter() {
  local at='' word option=$words[CURRENT-1]
  local -a names flags values
  for word in \${words[2,CURRENT-1]}; do
    case "$at $word" in
      (${pathPattern(commands)}) at="$at $word" ;;
    esac
  done
  case "$at" in
${cases.join('\n')}
  esac
  if [[ $words[CURRENT] == --*=* ]]; then
    option=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  case "$at $option" in
${valueCases(commands)
  .map(([pattern, values]) => `    (${pattern}) values=(${values.map(quote).join(' ')}) ;;`)
  .join('\n')}
  esac
  if (( $#values )); then
    compadd -a values
  elif [[ $words[CURRENT] == -* ]]; then
    _describe -o option flags
  elif (( $#names )); then
    _describe command names
  else
    _files
  fi
}
if [[ "$funcstack[1]" == _acr_promoter ]]; then _acr_promoter "$@"; else compdef _acr_promoter acr-promoter; fi
`;
}

function saying(description: string): string {
  return description === '' ? '' : ` -d ${quote(description)}`;
}

function fish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ path, subcommands, options }) => {
    const when = `-n ${quote(`__acr_promoter_at ${JSON.stringify(path)}`)}`;
    return [
      ...subcommands.map(
        ({ name, description }) => `complete -c acr-promoter ${when} -f -a ${name}${saying(description)}`,
      ),
      ...options.map(({ long, short, description, takesValue, values }) => {
        const letter = short === undefined ? '' : ` -s ${short.slice(1)}`;
        const value = values === undefined ? (takesValue ? ' -r' : '') : ` -x -a ${quote(values.join(' '))}`;
        return `complete -c acr-promoter ${when} -l ${long.slice(2)}${letter}${value}${saying(description)}`;
      }),
    ];
  });
  const known = commands.flatMap(({ path }) => (path === '' ? [] : [quote(path)])).join(' ');
  return `# fish completion for acr-promoter. In ~/.config/fish/config.fish: acr-promoter completion fish | source
function __acr_promoter_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    contains -- "$at $word" ${known}; and set at "$at $word"
  end
  test "$at" = "$argv[1]"
end
${lines.join('\n')}
`;
}

/** The completion script of a shell. It holds all words, and runs no command. */
export function completionScript(shell: Shell, commands: readonly CommandWords[]): string {
  return { bash, zsh, fish, powershell: powershellScript }[shell](commands);
}
