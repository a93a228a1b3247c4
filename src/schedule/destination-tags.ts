import { orNone, type TagDetails } from '../oci/index.js';
import type { TagName } from '../rules/match.js';
import { resolveTag } from '../transfer/tag.js';
import type { Ports } from '../ports/ports.js';
import { SCANNED_TAGS } from './scan.js';

/** One repository's list of tags and digests, read as far as needed. */
interface List {
  entries: AsyncIterator<TagDetails>;
  /** Digests read from the list, for tags that were not passed yet. */
  digests: Map<string, string>;
  last: string;
  read: number;
  asked: number;
  isOver: boolean;
}

/**
 * Tells whether destination tags have the expected digest. Uses ACR's tag list (a hundred tags per request) as long as
 * that costs less than a request for each tag. Tags that the list does not confirm, and all tags of other registries,
 * are read one by one.
 */
export class DestinationTags {
  readonly #ports: Pick<Ports, 'registries' | 'listing'>;
  readonly #signal: AbortSignal;
  readonly #lists = new Map<string, List>();

  constructor(ports: Pick<Ports, 'registries' | 'listing'>, signal: AbortSignal) {
    this.#ports = ports;
    this.#signal = signal;
  }

  /**
   * Returns the entries whose destination tag has the expected digest according to the lists. Call it with ascending
   * names, because lists are read once.
   */
  async listed<T extends { destination: TagName; digest: string }>(wanted: readonly T[]): Promise<Set<T>> {
    const groups = new Map<string, T[]>();
    for (const each of wanted) {
      const name = `${each.destination.registry}/${each.destination.repository}`;
      groups.set(name, [...(groups.get(name) ?? []), each]);
    }
    const confirmed = new Set<T>();
    for (const [name, group] of groups) {
      // For so few tags, single requests cost no more than a page.
      if (group.length < 2 && !this.#lists.has(name)) continue;
      const tags = group.map(({ destination }) => destination.tag).sort();
      const digests = await this.#read(name, group[0]?.destination, tags);
      for (const each of group) if (digests.get(each.destination.tag) === each.digest) confirmed.add(each);
      for (const tag of digests.keys()) if (tag <= (tags.at(-1) ?? '')) digests.delete(tag);
    }
    return confirmed;
  }

  async stands({ destination, digest }: { destination: TagName; digest: string }): Promise<boolean> {
    return (await resolveTag(this.#ports, destination, this.#signal))?.digest === digest;
  }

  async #read(name: string, at: TagName | undefined, tags: readonly string[]): Promise<Map<string, string>> {
    const list = this.#lists.get(name) ?? this.#open(name, at, tags[0] ?? '');
    list.asked += tags.length;
    const isEnough = (): boolean =>
      list.isOver || list.last >= (tags.at(-1) ?? '') || list.read >= SCANNED_TAGS * (list.asked + 1);
    while (!isEnough()) {
      const { done, value } = await list.entries.next();
      if (done === true) list.isOver = true;
      else {
        list.read += 1;
        list.last = value.name;
        list.digests.set(value.name, value.digest);
      }
    }
    return list.digests;
  }

  #open(name: string, at: TagName | undefined, first: string): List {
    const repository = this.#ports.listing.repository(at?.registry ?? '', at?.repository ?? '');
    // A list starts after a given name, so use one that sorts just before the first tag.
    const last = first.slice(0, -1);
    const listing = repository.listTagDetails({ signal: this.#signal, onlyPages: true, ...(last !== '' && { last }) });
    const list: List = {
      // The repository may not exist yet.
      entries: orNone(listing),
      digests: new Map(),
      last: '',
      read: 0,
      asked: 0,
      isOver: false,
    };
    this.#lists.set(name, list);
    return list;
  }
}
