/** What a node can do for a client, without any wire: the edges decode, call one of these, and encode. */
import type { Address, Lists } from '../base/model.ts';
import type { Clock } from '../base/ports.ts';
import type { ConfigDocument } from '../config-xml/document.ts';
import type { DeviceUpdate, OnlineTable } from '../heartbeat/online.ts';
import type { Located, Trace } from '../locator/locate.ts';
import type { ServerImage } from '../redirect/servers.ts';
import type { DeviceText } from '../heartbeat/session-rows.ts';
import type { BuddyAction, BuddyOutcome } from '../presence/buddies.ts';
import type { Presence } from '../presence/presence.ts';
import type { Publications, PublishOutcome, PublishRequest } from '../presence/publications.ts';
import type { Messages } from '../messages/messages.ts';
import type { Intake } from './intake.ts';
import type { Authenticated, LoginOutcome, LoginRequest } from './login.ts';

export interface UseCases {
  readonly clock: Clock;
  /** For the hot paths: sessions are found and read here; changed only through the functions below. */
  readonly table: OnlineTable;
  readonly servers: ServerImage;

  /** Of all logins. */
  readonly intake: Intake;
  /** Rejects with DIRECTORY_UNAVAILABLE, NO_ROOM, OVERLOADED, SLOW_DOWN. */
  loginInTurn(request: LoginRequest): Promise<LoginOutcome>;
  /** The same for who has entered the intake himself. */
  login(request: LoginRequest): Promise<LoginOutcome>;
  /** Whether he is who he says, without a session. Rejects with DIRECTORY_UNAVAILABLE. */
  authenticate(request: Pick<LoginRequest, 'uid' | 'credential'>): Promise<Authenticated>;
  /** A sign of life that says how long the session lives from now on, and what of the device has changed. */
  renew(row: number, lifetimeS: number, text?: DeviceText): void;
  /** Ends the session; the directory learns of it by and by. */
  logout(row: number): void;
  /** A sign of life of an open session, and what the device says of itself. Never waits. */
  heard(row: number, update?: DeviceUpdate): void;
  /** The device's outer address moved (a NAT rebinding). */
  moved(row: number, wan: Address): void;
  /** From memory; undefined where only the directory knows. */
  locateHere(asker: string, target: string, trace?: Trace): Located | undefined;
  /** By the directory, after locateHere knew nothing. Rejects with DIRECTORY_UNAVAILABLE. */
  locateElsewhere(asker: string, target: string, trace?: Trace): Promise<Located>;
  /**
   * The same for who only wants to be told: by setting the owner of a user who is elsewhere is asked. The rows of such
   * devices are none of this node's.
   */
  locateAnywhere(asker: string, target: string, trace?: Trace): Promise<Located>;
  /** As `config`, from memory; undefined where only the directory knows. */
  configHere(uid: string, withPasswords: boolean): ConfigDocument | undefined;
  /**
   * The user's CONFIG; null where there is no such user. Rejects with DIRECTORY_UNAVAILABLE.
   * `withPasswords` only for the user himself over a channel that nobody can read.
   */
  config(uid: string, withPasswords: boolean): Promise<ConfigDocument | null>;
  /** Who is told of whom. */
  readonly presence: Presence;
  readonly publications: Publications;
  /**
   * Publishes for a user who is not here: at the node that has him, or here where there is none. Rejects with
   * DIRECTORY_UNAVAILABLE, OVERLOADED.
   */
  readonly publishElsewhere: (request: PublishRequest) => Promise<PublishOutcome>;
  /** Rejects with NO_SUCH_USER, NOT_FOUND, CONFLICT, TOO_LONG, DIRECTORY_UNAVAILABLE, READ_ONLY. */
  buddy(uid: string, action: BuddyAction, other: string): Promise<BuddyOutcome>;
  /** The user's lists as the directory has them. Rejects with NO_SUCH_USER, DIRECTORY_UNAVAILABLE. */
  lists(uid: string): Promise<Lists>;
  /** Between users. What waits for a user is brought to him by itself. */
  readonly messages: Pick<Messages, 'send' | 'pass' | 'waiting' | 'acknowledged'>;
}
