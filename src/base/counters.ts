/** What a node counts, for /metrics. Plain numbers, so that counting on a hot path is one addition. */
export interface Counters {
  loginsWelcomed: number;
  loginsRedirected: number;
  loginsDenied: number;
  loginsFailed: number;
  logouts: number;
  silences: number;
  heartbeats: number;
  natRebindings: number;
  locatesUser: number;
  locatesSeeAlso: number;
  locatesOffline: number;
  locatesUnknown: number;
  fragmentsRejected: number;
  /** Sessions that were found to be elsewhere, though no notice had come. */
  driftDropped: number;
  /** Locations of users who are here that the directory did not know of. */
  driftRewritten: number;
  /** Locations that named a node where nobody was. */
  driftCleared: number;
  datagramsReceived: number;
  datagramsDropped: number;
  datagramsMalformed: number;
  rateLimited: number;
  wrongMacs: number;
  repeats: number;
  messagesDelivered: number;
  messagesStored: number;
  messagesRefused: number;
}

export function createCounters(): Counters {
  return {
    loginsWelcomed: 0,
    loginsRedirected: 0,
    loginsDenied: 0,
    loginsFailed: 0,
    logouts: 0,
    silences: 0,
    heartbeats: 0,
    natRebindings: 0,
    locatesUser: 0,
    locatesSeeAlso: 0,
    locatesOffline: 0,
    locatesUnknown: 0,
    fragmentsRejected: 0,
    driftDropped: 0,
    driftRewritten: 0,
    driftCleared: 0,
    datagramsReceived: 0,
    datagramsDropped: 0,
    datagramsMalformed: 0,
    rateLimited: 0,
    wrongMacs: 0,
    repeats: 0,
    messagesDelivered: 0,
    messagesStored: 0,
    messagesRefused: 0,
  };
}
