/** The LDAP attribute behind each field: standard ones where there is one, `vs…` of our schema (ldif/) elsewhere. */

export const DEFAULT_ATTRIBUTE_NAMES = {
  // the user
  uid: 'uid',
  password: 'userPassword',
  ha1Md5: 'vsHa1Md5',
  ha1Sha256: 'vsHa1Sha256',
  alias: 'displayName',
  avatar: 'labeledURI',
  age: 'vsAge',
  gender: 'vsGender',
  country: 'co',
  state: 'st',
  city: 'l',
  telephone: 'telephoneNumber',
  mail: 'mail',
  contactVisibleTo: 'vsContactVisibleTo',
  enabled: 'vsEnabled',
  expiresAt: 'vsExpiresAt',
  mayCallOut: 'vsMayCallOut',
  mayBeCalledBy: 'vsMayBeCalledBy',
  devicesMax: 'vsDevicesMax',
  privacy: 'vsPrivacy',
  forwardAlways: 'vsForwardAlways',
  forwardBusy: 'vsForwardBusy',
  forwardNoAnswer: 'vsForwardNoAnswer',
  forwardNoAnswerSeconds: 'vsForwardNoAnswerSeconds',
  forwardUnreachable: 'vsForwardUnreachable',
  buddy: 'vsBuddy',
  blocked: 'vsBlocked',
  buddyAsked: 'vsBuddyAsked',
  buddyAsking: 'vsBuddyAsking',
  voipAccount: 'vsVoipAccount',
  xmlext: 'xmlext',
  // where the user is, in the same entry
  locationServer: 'vsServer',
  locationAddress: 'vsServerAddress',
  locationNetwork: 'vsNetwork',
  locationWan: 'vsWan',
  locationLocal: 'vsLocal',
  locationLoginAt: 'vsLoginAt',
  locationLogoutAt: 'vsLogoutAt',
  locationHidden: 'vsHidden',
  locationEpoch: 'vsEpoch',
  // the region
  countryCode: 'countryCode',
  // a server: cn=NAME,ou=servers
  serverIp: 'vsIp',
  serverPort: 'vsPort',
  serverHttp: 'vsHttp',
  serverSip: 'vsSip',
  serverState: 'vsState',
  serverUsers: 'vsUsers',
  serverUsersMax: 'vsUsersMax',
  serverStartedAt: 'vsStartedAt',
  serverSeenAt: 'vsSeenAt',
  serverVersion: 'vsVersion',
  // a system variable: cn=NAME,ou=config
  value: 'vsValue',
};

export type AttributeName = keyof typeof DEFAULT_ATTRIBUTE_NAMES;
/** One LDAP attribute a field. The case of a name does not matter. */
export type AttributeNames = Readonly<Record<AttributeName, string>>;

const lowered = new WeakMap<AttributeNames, AttributeNames>();

/** The names in lower case, under which attributes are kept in memory. Made once: a user has some fifty of them. */
export function lowerCase(names: AttributeNames): AttributeNames {
  const known = lowered.get(names);
  if (known !== undefined) return known;
  const entries = Object.entries(names).map(([field, name]) => [field, name.toLowerCase()] as const);
  const made = Object.fromEntries(entries) as AttributeNames;
  lowered.set(names, made);
  return made;
}

/** What `locationToAttributes` may write, and all that a write of the location replaces. */
export const LOCATION_FIELDS = [
  'locationServer',
  'locationAddress',
  'locationNetwork',
  'locationWan',
  'locationLocal',
  'locationLoginAt',
  'locationLogoutAt',
  'locationHidden',
  'locationEpoch',
] as const satisfies readonly AttributeName[];
