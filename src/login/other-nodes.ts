/** What logins and Locates want of the other nodes. */
import type { Address, ServerRecord } from '../base/model.ts';
import type { Located } from '../locator/locate.ts';

export interface OtherNodes {
  /** Whether that node still has the user; where it can't be asked, as the server list has it. */
  has(server: ServerRecord, uid: string): Promise<boolean>;
  /** The user is here now, logged in from `source`: the former owner drops what is older than `epoch`. */
  taken(former: string, uid: string, epoch: number, source: Address): void;
  /** What that node's memory says to the asker: null that he is not there; undefined where it can't be asked. */
  locate(server: ServerRecord, asker: string, uid: string): Promise<Located | null | undefined>;
}
