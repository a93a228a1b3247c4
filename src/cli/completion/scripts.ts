/**
 * The completion scripts, as functions of the call that prints the candidates: one a line, its description after a tab.
 * The typed word has a dot before it, because PowerShell passes no empty words.
 */
const SCRIPTS = {
  bash: (call: string) => `# bash completion for acr-promoter. In ~/.bashrc: source <(acr-promoter completion bash)
_acr_promoter() {
  local IFS=$'\\n'
  COMPREPLY=($("$1" ${call} "\${COMP_WORDS[@]:1:COMP_CWORD-1}" ".\${COMP_WORDS[COMP_CWORD]}" 2>/dev/null))
}
complete -o default -F _acr_promoter acr-promoter
`,
  zsh: (call: string) => `#compdef acr-promoter
# zsh completion for acr-promoter. In ~/.zshrc: source <(acr-promoter completion zsh)
_acr_promoter() {
  local -a found
  found=("\${(@f)$("$words[1]" ${call} "\${(@)words[2,CURRENT-1]}" ".$words[CURRENT]" 2>/dev/null)}")
  found=("\${(@)found/$'\\t'/:}")
  if [[ -n $found ]]; then _describe 'acr-promoter' found; else _files; fi
}
if [[ "$funcstack[1]" == _acr_promoter ]]; then _acr_promoter "$@"; else compdef _acr_promoter acr-promoter; fi
`,
  fish: (
    call: string,
  ) => `# fish completion for acr-promoter. In ~/.config/fish/config.fish: acr-promoter completion fish | source
function __acr_promoter
  set -l words (commandline -opc)
  set -g __acr_promoter_found ($words[1] ${call} $words[2..-1] .(commandline -ct) 2>/dev/null)
  test -n "$__acr_promoter_found"
end
complete -c 'acr-promoter' -n __acr_promoter -f -a '$__acr_promoter_found'
`,
  powershell: (
    call: string,
  ) => `# PowerShell completion for acr-promoter. In $PROFILE: acr-promoter completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName 'acr-promoter' -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { "$_" })
  acr-promoter ${call} @words ".$wordToComplete" 2>$null | ForEach-Object {
    $word, $description = "$_".Split([char[]]"\`t", 2)
    if (-not $description) { $description = $word }
    [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $description)
  }
}
`,
};

export type Shell = keyof typeof SCRIPTS;
export const SHELLS = Object.keys(SCRIPTS) as Shell[];

/** The completion script of a shell, which calls `acr-promoter __complete` for each completion, as cobra's scripts do. */
export function completionScript(shell: Shell, { descriptions }: { descriptions: boolean }): string {
  return SCRIPTS[shell](`__complete${descriptions ? '' : ' --no-descriptions'} --`);
}
