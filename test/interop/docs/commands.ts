/** The commands of a shell text, each as its words. Knows only the syntax that the pages use. */
export function commandsOf(text: string): string[][] {
  const commands: string[][] = [];
  let words: string[] = [];
  const end = (): void => {
    if (words.length > 0) commands.push(words);
    words = [];
  };
  // `<app>` is a value to fill in; here-documents are left out.
  let rest = text
    .replaceAll(/<([a-z][^<>\n]*)>/g, 'FILL_IN')
    .replaceAll(/<<-?\s*'?(\w+)'?(.*)\n[\s\S]*?\n\1(?=\n|$)/g, '$2')
    .replaceAll(/\\\n\s*/g, ' ');
  while (rest !== '') {
    const space = /^[ \t]+/.exec(rest) ?? /^#[^\n]*/.exec(rest);
    const separator = /^(?:&&|\|\|?|;|&|\n|\{ | \})/.exec(rest);
    const redirect = /^\d*(?:>>?|<)&?\s*\S+/.exec(rest);
    const found = space ?? separator ?? redirect;
    if (found !== null) {
      if (space === null && redirect === null) end();
      rest = rest.slice(found[0].length);
      continue;
    }
    const { word, inner, length } = takeWord(rest);
    for (const each of inner) commands.push(...commandsOf(each));
    // A variable that is set before a command.
    if (words.length > 0 || !/^\w+=/.test(word)) words.push(word);
    rest = rest.slice(length);
  }
  end();
  return commands;
}

/** Removes the quotes of a word, and finds the commands in its `$(…)`. */
function takeWord(text: string): { word: string; inner: string[]; length: number } {
  const inner: string[] = [];
  let word = '';
  let quote = '';
  let at = 0;
  for (; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quote !== "'" && text.startsWith('$(', at)) {
      const end = closing(text, at + 2);
      inner.push(text.slice(at + 2, end));
      word += 'OUTPUT';
      at = end;
    } else if (quote !== '') {
      if (char === quote) quote = '';
      else word += char;
    } else if (char === '"' || char === "'") quote = char;
    else if (/[\s;|&]/.test(char)) break;
    else word += char;
  }
  return { word, inner, length: at };
}

function closing(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at += 1) {
    if (text.charAt(at) === '(') depth += 1;
    if (text.charAt(at) === ')' && (depth -= 1) === 0) return at;
  }
  throw new Error(`$( is not closed: ${text.slice(from, from + 80)}`);
}
