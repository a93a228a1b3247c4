import { InputError } from '../oci/index.js';
import { Evaluation } from './go-template/evaluation.js';
import { parseTemplate } from './go-template/parser.js';
import { failed, toValue } from './go-template/values.js';

/** The most characters of a template. `TEMPLATE_INVALID` */
const TEMPLATE_CHARACTERS = 64 * 1024;

/**
 * Renders a template of Go's text/template over a verb's result, with the part of the language that scripts around `oras` use:
 * fields, variables, pipelines, if, with, range, comments, trimming, the built-in functions and a good part of Sprig's. No
 * newline is added. A template cannot read the environment, files or the clock.
 * @param data the value that `--format json` would print; its names are the template's fields
 * @throws InputError `TEMPLATE_INVALID` where it can't be read, `TEMPLATE_FAILED` where what it asks for can't be done
 * @see https://pkg.go.dev/text/template
 */
export function renderGoTemplate(template: string, data: unknown): string {
  if (template.length > TEMPLATE_CHARACTERS) {
    throw new InputError('TEMPLATE_INVALID', `template: longer than ${TEMPLATE_CHARACTERS} characters`);
  }
  try {
    const value = toValue(data);
    const run = new Evaluation(value);
    parseTemplate(template)(value, run);
    return run.output;
  } catch (error) {
    // Endlessly nested lists, or a text longer than JavaScript allows.
    if (error instanceof RangeError) throw failed(error.message);
    throw error;
  }
}
