/** Pieces of JSON Schema that several routes share. What they can't say is checked in the handlers. */
import { FIREWALLS, STATUSES } from '../base/model.ts';

/** Text of at most so many characters, none of them a control character. */
export const text = (maxLength: number) => ({ type: 'string', maxLength, pattern: '^\\P{Cc}*$' }) as const;

/** An object that takes no other properties than these. */
export function closed<const P extends object, const R extends readonly (keyof P & string)[]>(
  properties: P,
  required: R,
): { type: 'object'; additionalProperties: false; properties: P; required: R } {
  return { type: 'object', additionalProperties: false, properties, required };
}

/** Longer than a uid can be, so that what is none gets the answer for an unknown one. */
export const UID_TEXT = { type: 'string', minLength: 1, maxLength: 256 } as const;
export const PASSWORD = { type: 'string', minLength: 1, maxLength: 512 } as const;
export const ADDRESS = { type: 'string', maxLength: 64, description: 'ip:port, an IPv6 address in brackets' } as const;
export const STATUS = { type: 'string', enum: STATUSES } as const;
export const FIREWALL = { type: 'string', enum: FIREWALLS } as const;
export const NOTE = text(96);
/** `cpu=…; mem=…; disk=…; net=…; agent=…` */
export const DEVICE = text(512);
export const TICKET = { type: 'string', maxLength: 200, description: 'from the Location of another server' } as const;

export const UID_PARAMS = closed({ uid: UID_TEXT }, ['uid']);
export const DONE = closed({ status: { type: 'string' } }, ['status']);
export const STRING = { type: 'string' } as const;
export const INTEGER = { type: 'integer' } as const;

/** OpenAPI: which secret a route takes. */
export const BY_SESSION = [{ session: [] }];
export const BY_ADMIN = [{ admin: [] }];
