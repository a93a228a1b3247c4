import type { Notes } from '../ports/notes.js';
import { z } from 'zod';
import type { Rule } from '../rules/rule.js';
import type { StorePort } from '../ports/store.js';

const tagsAt = z.object({
  at: z.literal('rule'),
  rule: z.string(),
  repository: z.string().optional(),
  tag: z.string().optional(),
  /** How much of what its source held at first was read in this round: tags, and milliseconds. */
  reading: z.object({ tags: z.number(), ms: z.number() }).optional(),
});
const rowsAt = z.object({ at: z.literal('rows'), from: z.string().optional() });

/** Where the scan stands: first the rows that are not at rest, then the rules by name. */
const cursorSchema = z.union([rowsAt, tagsAt]);
export type Cursor = z.infer<typeof cursorSchema>;

/** A call that has begun and not ended: the one that works just now, or one that has died. */
const begunSchema = z.object({
  cursor: z.string(),
  /** How far it has come, where it was done bit by bit. */
  reached: cursorSchema.optional(),
  /** How often one has begun there. */
  times: z.number(),
});

/** Where the next tick goes on: a round that came to its end leaves nothing. */
const noteSchema = z.object({
  /** The page of the rows. */
  rows: z.string().optional(),
  /** What comes when all rows were looked at. */
  tags: tagsAt.optional(),
  begun: z.object({ rows: begunSchema.optional(), tags: begunSchema.optional() }).default({}),
});
type Note = z.infer<typeof noteSchema>;

const NOTE = 'walk';

type NotePort = StorePort<Notes>;

/** The rules that the schedule looks at, by name: so none is passed over where others come and go between two ticks. */
export function scheduledRules(rules: readonly Rule[]): Rule[] {
  return rules
    .filter((rule) => rule.triggers.includes('schedule'))
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** What comes after a rule, or first; undefined: that was the last one. */
export function nextRule(scheduled: readonly Rule[], after?: string): Cursor | undefined {
  const next = scheduled.find(({ name }) => after === undefined || name > after);
  return next === undefined ? undefined : { at: 'rule', rule: next.name };
}

/** One call, as far as the scan's note goes. */
export class ScanCall {
  readonly #ports: NotePort;
  readonly #begunAt: Cursor;
  #note: Note;
  /** Where it begins. */
  cursor: Cursor;
  /** How often one has begun here, this one counted: the others came to no end. */
  times: number;

  private constructor(ports: NotePort, given: string | null, text: string | undefined) {
    this.#ports = ports;
    this.#note = noteOf(text);
    const { rows, begun } = this.#note;
    this.#begunAt =
      given === null
        ? { at: 'rows', ...(rows !== undefined && { from: rows }) }
        : cursorSchema.parse(JSON.parse(given));
    const before = begun[this.#kind];
    const isSame = before?.cursor === JSON.stringify(this.#begunAt);
    this.cursor = (isSame ? before.reached : undefined) ?? this.#begunAt;
    this.times = isSame ? before.times + 1 : 1;
  }

  /** @param given where the tick stands; null: it begins, and goes on where the one before has stopped */
  static async begin(ports: NotePort, given: string | null): Promise<ScanCall> {
    const scanCall = new ScanCall(ports, given, (await ports.store.getNote(NOTE))?.value);
    await scanCall.#write(scanCall.#withBegun(scanCall.cursor, scanCall.times));
    return scanCall;
  }

  /** What comes when all rows were looked at, where an earlier tick has left something. */
  get tags(): Note['tags'] {
    return this.#note.tags;
  }

  /** Says how far it has come, for the one after it if this one dies. */
  async reach(cursor: Cursor): Promise<void> {
    await this.#write(this.#withBegun(cursor, 1));
  }

  /** Ends it. @param cursor where the next one begins; undefined: the round has ended */
  async end(cursor: Cursor | undefined): Promise<void> {
    const { rows: _rows, tags, begun } = this.#note;
    const left = { ...begun, [this.#kind]: undefined };
    if (cursor === undefined) return this.#write({ begun: {} });
    if (cursor.at !== 'rows') return this.#write({ tags: cursor, begun: left });
    return this.#write({ rows: cursor.from, tags, begun: left });
  }

  get #kind(): 'rows' | 'tags' {
    return this.#begunAt.at === 'rows' ? 'rows' : 'tags';
  }

  #withBegun(reached: Cursor, times: number): Note {
    const begun = { cursor: JSON.stringify(this.#begunAt), reached, times };
    return { ...this.#note, begun: { ...this.#note.begun, [this.#kind]: begun } };
  }

  /** Of two scans at once the last word counts: each has looked at all between where it began and where it stands. */
  async #write(note: Note): Promise<void> {
    this.#note = note;
    const kept = await this.#ports.store.getNote(NOTE);
    await this.#ports.store.putNote(NOTE, JSON.stringify(note), kept?.version);
  }
}

/** A note of another version: from the start. */
function noteOf(text: string | undefined): Note {
  try {
    return noteSchema.parse(JSON.parse(text ?? '{}'));
  } catch {
    return { begun: {} };
  }
}
