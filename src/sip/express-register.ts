/**
 * The express lane of REGISTER: who registers what, read on its bytes. express-refresh.ts has those who are registered,
 * express-login.ts those who are not here; registrar.ts does all others, and would answer these alike.
 */
import { bytesOf, equalsText } from '../base/bytes.ts';
import { NONCE_LENGTH } from '../login/nonces.ts';
import type { SipContext } from './context.ts';
import { isTaken } from './digest-offer.ts';
import { createChallengeLane } from './express-challenge.ts';
import { ExpressContact, REG_ID } from './express-contact.ts';
import { DIGEST_URI, ExpressDigest, NONCE, REALM } from './express-digest.ts';
import type { ExpressHead, ExpressLane, IsOurs } from './express-head.ts';
import { createLoginLane } from './express-login.ts';
import { createRefreshLane, lifetimeOf } from './express-refresh.ts';
import type { ExpressWriter } from './express-writer.ts';
import { AUTHORIZATION, CONTACT, PATH, REQUIRE, SUPPORTED } from './header-names.ts';
import { hasSuccessor } from './registrar.ts';

export function createRegisterLane(context: SipContext, writer: ExpressWriter, isOurs: IsOurs): ExpressLane {
  const { settings } = context;
  const digest = new ExpressDigest();
  const contact = new ExpressContact();
  const realm = bytesOf(settings.realm);

  const isForUs = (head: ExpressHead): boolean => {
    const { uri, to } = head;
    return uri.hostAt !== 0 && isOurs(head, uri) && isOurs(head, to) && to.tagAt === 0 && !head.has(REQUIRE);
  };

  /** Reads who registers what. False: not in an ordinary way. */
  const isOrdinary = (head: ExpressHead): boolean => {
    if (head.has(PATH) || !head.has(CONTACT) || hasSuccessor(context)) return false;
    if (!digest.read(head) || !contact.read()) return false;
    // What RFC 5626 adds is not for here.
    if (head.has(SUPPORTED) && contact.has(REG_ID)) return false;
    return (
      isTaken(digest.isMd5 ? 'MD5' : 'SHA-256', settings.digest) &&
      equalsText(head.view, digest.at(REALM), digest.end(REALM), realm) &&
      digest.isSame(DIGEST_URI, head.uriAt, head.uriEnd) &&
      digest.end(NONCE) - digest.at(NONCE) === NONCE_LENGTH
    );
  };

  const challenge = createChallengeLane(context, writer);
  const { rowOf, refresh } = createRefreshLane(context, writer, digest, contact);
  const again: ExpressLane = (head, flow, nowMs) => {
    const row = isOrdinary(head) ? rowOf(head) : -1;
    return row >= 0 && refresh(head, row, flow, nowMs);
  };
  /** Of a login that has waited for its turn. */
  const turn: ExpressLane = (head, flow, cameMs) => {
    if (!isOrdinary(head)) return false;
    const lifetimeS = lifetimeOf(head, contact.expires, settings);
    return lifetimeS >= 0 && loginInTurn(head, { digest, contact, lifetimeS }, flow, cameMs);
  };
  const { login, loginInTurn } = createLoginLane(context, writer, { again, turn });

  return (head, flow, nowMs) => {
    if (!isForUs(head)) return false;
    if (!head.has(AUTHORIZATION)) return challenge(head, flow, nowMs);
    if (!isOrdinary(head)) return false;
    const lifetimeS = lifetimeOf(head, contact.expires, settings);
    if (lifetimeS < 0) return false;
    const row = rowOf(head);
    return row < 0 ? login(head, { digest, contact, lifetimeS }, flow, nowMs) : refresh(head, row, flow, nowMs);
  };
}
