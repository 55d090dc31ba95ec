/** The rules of a user record (DIRECTORY.md section 2), the same for every backend and every way in. */
import { isUid, LIST_ENTRIES_MAX, VOIP_ACCOUNTS_MAX } from '../base/model.ts';
import type { Secret, User, VoipAccount } from '../base/model.ts';
import { checkFragment, isXmlText } from '../config-xml/fragment.ts';

const CONTACTS_MAX = 16;
const PASSWORD_CHARACTERS_MAX = 1024;
const NO_ANSWER_SECONDS_MAX = 600;
const AGE_MAX = 200;
const DEVICES_MAX = 100;
const VARIABLE_CHARACTERS_MAX = 4_096;
const LONG_VARIABLE_CHARACTERS_MAX = 32_768;
/** The list of names, and the fragment. */
const LONG_VARIABLES: ReadonlySet<string> = new Set(['SystemVariables', 'SYSTEM_EXT']);

/** Takes one broken rule in plain words. It names the field and never the value: values may be secret. */
type Report = (broken: string) => void;

/** All rules that the record breaks, in plain words without any value of it; [] where it is good. */
export function validateUser(user: User): readonly string[] {
  const broken: string[] = [];
  const report: Report = (rule) => void broken.push(rule);
  checkIdentity(user, report);
  checkSecret(user.secret, report);
  checkPerson(user, report);
  checkService(user, report);
  for (const [name, uids] of Object.entries(user.lists)) checkUids(name, uids as readonly string[], report);
  if (user.voip.length > VOIP_ACCOUNTS_MAX) report(`voip: more than ${VOIP_ACCOUNTS_MAX} accounts`);
  else user.voip.forEach((account, i) => checkVoip(`voip account ${i + 1}`, account, report));
  const reason = checkFragment(user.xmlext);
  if (reason !== null) report(`xmlext: ${reason}`);
  return broken;
}

/** The rules of a system variable: its name becomes an attribute of the CONFIG, SYSTEM_EXT is a fragment. */
export function validateVariable(name: string, value: string): readonly string[] {
  const broken: string[] = [];
  if (!/^[^;\s\p{Cc}]{1,128}$/u.test(name) || !isXmlText(name)) {
    broken.push('name: must be 1 to 128 characters, none of them ";", a space or a control character');
  }
  const reason = name === 'SYSTEM_EXT' ? checkFragment(value) : null;
  if (reason !== null) broken.push(`SYSTEM_EXT: ${reason}`);
  if (!isXmlText(value)) broken.push('value: holds a character that is not allowed');
  const charactersMax = LONG_VARIABLES.has(name) ? LONG_VARIABLE_CHARACTERS_MAX : VARIABLE_CHARACTERS_MAX;
  if (isLongerThan(value, charactersMax)) broken.push(`value: longer than ${charactersMax} characters`);
  return broken;
}

function checkIdentity(user: User, report: Report): void {
  if (!isUid(user.uid)) report('uid: must be 1 to 64 characters, none of them a space, a control character or ":"');
  checkLine('region', user.region, 64, report);
  if (user.countryCode !== '' && !/^[0-9]{1,4}$/.test(user.countryCode)) report('countryCode: must be 1 to 4 digits');
  if (user.countryCode !== '' && user.region === '') report('countryCode: belongs to a region, and there is none');
}

function checkSecret(secret: Secret, report: Report): void {
  if (secret.password !== null) {
    if (isLongerThan(secret.password, PASSWORD_CHARACTERS_MAX)) {
      report(`password: longer than ${PASSWORD_CHARACTERS_MAX} characters`);
    }
    if (!isXmlText(secret.password)) report('password: holds a character that is not allowed');
  }
  if (secret.ha1Md5 !== null && !/^[0-9a-f]{32}$/.test(secret.ha1Md5)) {
    report('ha1Md5: must be 32 lower-case hex digits');
  }
  if (secret.ha1Sha256 !== null && !/^[0-9a-f]{64}$/.test(secret.ha1Sha256)) {
    report('ha1Sha256: must be 64 lower-case hex digits');
  }
}

function checkPerson({ basic, contact }: User, report: Report): void {
  checkLine('alias', basic.alias, 128, report);
  checkLine('avatar', basic.avatar, 1024, report);
  if (basic.age !== null) checkInteger('age', basic.age, 0, AGE_MAX, report);
  checkLine('gender', basic.gender, 32, report);
  checkLine('country', basic.country, 128, report);
  checkLine('state', basic.state, 128, report);
  checkLine('city', basic.city, 128, report);
  checkContacts('telephones', contact.telephones, 64, report);
  checkContacts('mails', contact.mails, 254, report);
}

function checkContacts(name: string, values: readonly string[], charactersMax: number, report: Report): void {
  if (values.length > CONTACTS_MAX) {
    report(`${name}: more than ${CONTACTS_MAX}`);
    return;
  }
  if (values.includes('')) report(`${name}: one of them is empty`);
  checkNoneTwice(name, values, report);
  for (const value of values) checkLine(name, value, charactersMax, report);
}

function checkService({ service, forwarding }: User, report: Report): void {
  checkInteger('devicesMax', service.devicesMax, 1, DEVICES_MAX, report);
  if (service.expiresAt !== null) checkInteger('expiresAt', service.expiresAt, 0, Number.MAX_SAFE_INTEGER, report);
  checkLine('forwarding always', forwarding.always, 256, report);
  checkLine('forwarding busy', forwarding.busy, 256, report);
  checkLine('forwarding noAnswer', forwarding.noAnswer, 256, report);
  checkLine('forwarding unreachable', forwarding.unreachable, 256, report);
  checkInteger('forwarding noAnswerSeconds', forwarding.noAnswerSeconds, 1, NO_ANSWER_SECONDS_MAX, report);
}

function checkUids(name: string, uids: readonly string[], report: Report): void {
  if (uids.length > LIST_ENTRIES_MAX) {
    report(`${name}: more than ${LIST_ENTRIES_MAX} entries`);
    return;
  }
  if (!uids.every(isUid)) report(`${name}: one of the entries is no uid`);
  checkNoneTwice(name, uids, report);
}

function checkVoip(name: string, account: VoipAccount, report: Report): void {
  checkText(`${name}, servers`, account.servers, 1024, report);
  checkText(`${name}, e164`, account.e164, 64, report);
  checkText(`${name}, outbound`, account.outbound, 256, report);
  checkText(`${name}, property`, account.property, 1024, report);
  checkText(`${name}, ttl`, account.ttl, 16, report);
  checkText(`${name}, password`, account.password, 256, report);
}

/** Text that also travels in header lines: no control characters, so no line breaks. */
function checkLine(name: string, value: string, charactersMax: number, report: Report): void {
  checkText(name, value, charactersMax, report);
  if (/[\t\n\r\u{7F}-\u{9F}]/u.test(value)) report(`${name}: holds a control character`);
}

function checkText(name: string, value: string, charactersMax: number, report: Report): void {
  if (isLongerThan(value, charactersMax)) report(`${name}: longer than ${charactersMax} characters`);
  if (!isXmlText(value)) report(`${name}: holds a character that XML 1.0 does not allow`);
}

function checkInteger(name: string, value: number, min: number, max: number, report: Report): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    report(`${name}: must be a whole number from ${min} to ${max}`);
  }
}

function checkNoneTwice(name: string, values: readonly string[], report: Report): void {
  if (new Set(values).size < values.length) report(`${name}: one of the entries stands there twice`);
}

/** In characters, not in UTF-16 halves of them. */
function isLongerThan(text: string, charactersMax: number): boolean {
  if (text.length <= charactersMax) return false;
  return text.length > 2 * charactersMax || Array.from(text).length > charactersMax;
}
