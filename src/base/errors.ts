/**
 * Operational failures. Expected answers (denied, redirected, offline) are values of a union, not errors;
 * a broken invariant is an assertion. docs/errors.md lists every code, and a test holds the two together.
 */
export const ERRORS = {
  BAD_REQUEST: { status: 400, reason: 'malformed request' },
  SESSION_UNKNOWN: { status: 401, reason: 'session unknown, log in again' },
  LOGIN_FAILED: { status: 401, reason: 'wrong uid or password' },
  REFUSED: { status: 403, reason: 'refused' },
  INSECURE: { status: 403, reason: 'secrets are refused on an unencrypted connection, use HTTPS' },
  NO_SUCH_USER: { status: 404, reason: 'no such user' },
  NOT_FOUND: { status: 404, reason: 'no such thing' },
  METHOD_NOT_ALLOWED: { status: 405, reason: 'not with this method' },
  CONFLICT: { status: 409, reason: 'exists already or was changed meanwhile' },
  LOGGED_IN_ELSEWHERE: { status: 409, reason: 'logged in elsewhere' },
  TOO_LONG: { status: 413, reason: 'too long, or too little padding' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, reason: 'the body is to be application/json' },
  INVALID_RECORD: { status: 422, reason: 'the record breaks a rule of the directory' },
  DATAGRAM_LOGIN_OFF: { status: 426, reason: 'datagram login is switched off, use HTTPS' },
  SLOW_DOWN: { status: 429, reason: 'too many requests, slow down' },
  UNREACHABLE: { status: 480, reason: 'not online, and messages are not kept here' },
  INTERNAL: { status: 500, reason: 'internal error' },
  DIRECTORY_UNAVAILABLE: { status: 503, reason: 'directory unreachable' },
  READ_ONLY: { status: 403, reason: 'this part of the directory is read-only' },
  NO_ROOM: { status: 503, reason: 'no room on any server' },
  OVERLOADED: { status: 503, reason: 'too much work is waiting' },
  MAILBOX_FULL: { status: 507, reason: 'too many messages wait for the recipient' },
  SETTINGS: { status: 500, reason: 'the settings contradict themselves' },
} as const satisfies Record<string, { status: number; reason: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An operational failure with a code of the table; `message` is safe to show, `cause` is for the log. */
export class VserverError extends Error {
  override readonly name = 'VserverError';
  readonly code: ErrorCode;
  /** Seconds after which another try makes sense. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, detail?: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(detail ?? ERRORS[code].reason, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfter = options.retryAfter;
  }

  /** As in HTTP and SIP. */
  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** Whether the error says that the directory could not be asked (as opposed to: it answered no). */
export function isUnavailable(error: unknown): boolean {
  return error instanceof VserverError && (error.code === 'DIRECTORY_UNAVAILABLE' || error.code === 'OVERLOADED');
}
