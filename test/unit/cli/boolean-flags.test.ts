import { describe, expect, test } from '@jest/globals';
import { Command, Option } from 'commander';
import { readLine } from '../../../src/cli/boolean-flags.js';

function program(): Command {
  const top = new Command('top');
  top
    .command('push')
    .option('-a, --annotation <key=value>')
    .option('-d, --debug')
    .option('-p, --password <secret>')
    .option('--no-tty')
    .addOption(new Option('-v, --verbose').hideHelp());
  top.command('pull').option('-k, --keep').option('-o, --output <folder>').option('-p, --plain');
  const index = top.command('manifest').command('index');
  index.command('create').option('-o, --output <folder>');
  return top;
}

describe('flags are read as Go’s tools read them', () => {
  test.each([
    ['a letter and an equals sign', 'push r -a=x=y', 'push r -ax=y'],
    ['twice an equals sign', 'push r -a==x', 'push r -a=x'],
    ['nothing behind it', 'push r -a=', 'push r -a='],
    ['what is on and off', 'push r -d=true -d=false', 'push r --debug'],
    ['one that no help shows', 'push r -v=false -v=1', 'push r --verbose'],
    ['joined letters', 'pull -ko=out r', 'pull -k -oout r'],
    ['joined letters that are on', 'pull -kp=true r', 'pull -k --plain r'],
    ['joined letters, the value as the next word', 'pull -ko -p=1 r', 'pull -k -o -p=1 r'],
    ['a value that looks like a flag', 'push -a -d=false r', 'push -a -d=false r'],
    ['the same, after an equals sign', 'push -a=-d=false -d=f r', 'push -a-d=false r'],
    ['the same letter of another command', 'pull -p=1 r', 'pull --plain r'],
    ['the same letter of this one', 'push -p=1 r', 'push -p1 r'],
    ['a command below others', 'manifest index create r a -o=-', 'manifest index create r a -o-'],
    ['a word that is no yes or no', 'push r -d=maybe', 'push r --debug=maybe'],
    ['what is not known', 'push r -z=1 -dz=1 --zz=true', 'push r -z=1 -d -z=1 --zz=true'],
    ['a long one that is off', 'push r --debug=0 --no-tty=false --annotation=true', 'push r --tty --annotation=true'],
    ['behind --', 'push -- -d=true', 'push -- -d=true'],
  ])('%s', (_, line, written) => {
    expect(readLine(line.split(' '), program()).argv.join(' ')).toBe(written);
  });
});
