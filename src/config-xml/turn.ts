/**
 * Credentials for a TURN server (coturn's `use-auth-secret`, draft-uberti-behave-turn-rest-00 section 2.2): it shares a
 * secret with the nodes, and needs to know nothing of their users.
 */
import { createHmac } from 'node:crypto';

export interface TurnSettings {
  /** RFC 7065, the preferred one first. */
  readonly uris: readonly string[];
  /** What coturn calls `static-auth-secret`. */
  readonly secret: string;
  /** Seconds for which new credentials are good at most; at least half of it is left to whoever asks. */
  readonly lifetimeS: number;
}

export interface TurnCredentials {
  /** The end of their life, a colon, and the uid. */
  readonly user: string;
  /** The HMAC-SHA-1 of the user in Base64. */
  readonly password: string;
}

/**
 * When credentials end that are given out now, epoch seconds: the same for half of a lifetime, so that a document with
 * them in it, and its ETag, stay the same as long, on all nodes.
 */
export function turnExpiryS({ lifetimeS }: TurnSettings, nowS: number): number {
  const halfS = Math.floor(lifetimeS / 2);
  return (Math.floor(nowS / halfS) + 2) * halfS;
}

export function turnCredentials({ secret }: TurnSettings, uid: string, expiryS: number): TurnCredentials {
  const user = `${expiryS}:${uid}`;
  return { user, password: createHmac('sha1', secret).update(user).digest('base64') };
}
