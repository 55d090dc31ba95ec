/**
 * What a SIPp agent sends and expects, step by step. All that one agent does has one Call-ID, because that is what a
 * scenario of SIPp is: its registration, and the call or subscription after it.
 */

/** Regular expressions (POSIX, extended) that are found in these headers; `body` and `message` are all of either. */
export type Checks = Readonly<Record<string, string>>;

/** What of a request is not the usual. */
export interface Ask {
  /** The user part of Request-URI and To; the agent's own where it is left out. */
  readonly to?: string;
  /** Request-URI, where it is another one. */
  readonly uri?: string;
  readonly maxForwards?: number;
  readonly headers?: readonly string[];
  readonly body?: readonly string[];
  /** Answers the challenge that came last. */
  readonly isAuthorized?: boolean;
}

/** What the writing of a scenario has to know of the steps before. */
interface Writing {
  readonly uid: string;
  cseq: number;
  /** Of the INVITE that the agent itself sent last; 0: none yet. */
  inviteCSeq: number;
  /** Whom the agent calls, watches, … */
  peer: string;
  /** Whether the dialog began with an INVITE that came: From and To of the agent's own requests are turned round. */
  isCallee: boolean;
  /** The request that came last has no To tag yet. */
  isHeardFirst: boolean;
  heard: string;
  readonly variables: string[];
}

/** A part of a scenario, as XML. */
export type Step = (writing: Writing) => string;

/** The scenario of these steps, for this user. */
export function scenarioOf(uid: string, scenario: readonly Step[]): string {
  const writing: Writing = {
    ...{ uid, cseq: 0, inviteCSeq: 0, peer: '', isCallee: false, isHeardFirst: false, heard: '', variables: [] },
  };
  const body = scenario.map((step) => step(writing)).join('\n');
  const { variables } = writing;
  // SIPp refuses variables that are nowhere used.
  const used = variables.length === 0 ? '' : `<Reference variables="${variables.join(',')}" />`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="${uid}">\n${body}\n${used}\n</scenario>\n`;
}

/** Several as one. */
export function steps(...all: readonly Step[]): Step {
  return (writing) => all.map((step) => step(writing)).join('\n');
}

/** REGISTER, and again with credentials; `contact`: parameters of its Contact. */
export function registers(contact = ''): Step {
  const headers = [`Contact: <${OWN_URI}>${contact}`, 'Expires: 300'];
  return steps(
    asks('REGISTER', { headers }),
    isChallenged(),
    asks('REGISTER', { headers, isAuthorized: true }),
    expects(200),
  );
}

/** A request outside of a dialog. */
export function asks(method: string, ask: Ask = {}): Step {
  const { to, uri, maxForwards = 70, headers = [], body = [], isAuthorized = false } = ask;
  return (writing) => {
    const cseq = ++writing.cseq;
    const uid = (writing.peer = to ?? writing.uid);
    if (method === 'INVITE') writing.inviteCSeq = cseq;
    const isRegister = method === 'REGISTER';
    return send(true, [
      `${method} ${uri ?? `sip:${isRegister ? '' : `${uid}@`}[remote_ip]:[remote_port]`} SIP/2.0`,
      ...usual(method, cseq, uriOf(writing.uid, OWN_TAG), uriOf(uid)),
      `Max-Forwards: ${maxForwards}`,
      ...(isRegister ? [] : [`Contact: <${OWN_URI}>`]),
      ...headers,
      ...(isAuthorized ? ['[authentication]'] : []),
      ...content(body),
    ]);
  };
}

/** `isAuthorized` of the next request answers it. */
export function isChallenged(status: 401 | 407 = 401): Step {
  return () => `<recv response="${status}" auth="true" />`;
}

/** The same of an INVITE, which is for a proxy. */
export function inviteIsChallenged(): Step {
  return steps(isChallenged(407), ofInvite('ACK', '[peer_tag_param]'));
}

/** A request within the dialog, over the route that was recorded. */
export function asksWithin(method: string, { headers = [], body = [] }: Ask = {}): Step {
  return (writing) => {
    const cseq = ++writing.cseq;
    if (method === 'INVITE') writing.inviteCSeq = cseq;
    return send(true, within(writing, method, cseq, [`Contact: <${OWN_URI}>`, ...headers], body));
  };
}

/** 2xx to the INVITE, and its ACK. */
export function isAnswered(checks: Checks = {}): Step {
  return steps(expects(200, { CSeq: 'INVITE', ...checks }), (writing) =>
    send(false, within(writing, 'ACK', writing.inviteCSeq, [], [])),
  );
}

/** Another final response to the INVITE, which is acknowledged hop by hop. */
export function isRefused(status: number, checks: Checks = {}): Step {
  return steps(expects(status, { CSeq: 'INVITE', ...checks }), ofInvite('ACK', '[peer_tag_param]'));
}

/** 302 to the INVITE; the next one goes to its Contact (RFC 3261 8.1.3.4). */
export function isRedirected(): Step {
  const where = `<ereg regexp="sip:[^@]+@([0-9.]+):([0-9]+)" search_in="hdr" header="Contact:" check_it="true" assign_to="contact,host,port" />`;
  return (writing) => {
    writing.variables.push('contact', 'host', 'port');
    return [
      `<recv response="100" optional="true" />\n<recv response="302"><action>${where}</action></recv>`,
      ofInvite('ACK', '[peer_tag_param]')(writing),
      '<nop><action><setdest host="[$host]" port="[$port]" protocol="udp" /></action></nop>',
    ].join('\n');
  };
}

export function cancels(): Step {
  return steps(ofInvite('CANCEL', ''), expects(200, { CSeq: 'CANCEL' }));
}

/** What has the branch of the INVITE: CANCEL, and the ACK of a refusal. */
function ofInvite(method: 'ACK' | 'CANCEL', toTag: string): Step {
  return (writing) => {
    const { uid, peer, inviteCSeq } = writing;
    return send(method === 'CANCEL', [
      `${method} sip:${peer}@[remote_ip]:[remote_port] SIP/2.0`,
      ...usual(method, inviteCSeq, uriOf(uid, OWN_TAG), `${uriOf(peer)}${toTag}`),
      'Max-Forwards: 70',
      ...content([]),
    ]);
  };
}

/**
 * A response by its status, or a request by its method. A 100 before it is passed over. `kept`: headers by the names of
 * variables that hold their values from then on (`[$name]`).
 */
export function expects(what: number | string, checks: Checks = {}, kept: Readonly<Record<string, string>> = {}): Step {
  return (writing) => {
    const places: Places = Object.fromEntries(
      Object.entries(kept).map(([name, header]) => [name, `header="${header}:"`]),
    );
    if (typeof what === 'number') {
      const trying = what > 100 ? '<recv response="100" optional="true" />\n' : '';
      // SIPp keeps the first route that it is told to keep: an 18x may be of another phone.
      const rrs = what === 200 ? ' rrs="true"' : '';
      return `${trying}<recv response="${what}"${rrs}>${actions(writing, checks, places)}</recv>`;
    }
    const isFirst = what === 'INVITE' && writing.inviteCSeq === 0 && !writing.isCallee;
    writing.heard = what;
    writing.isHeardFirst = isFirst || (what === 'CANCEL' && writing.isHeardFirst);
    writing.isCallee ||= isFirst;
    return `<recv request="${what}" rrs="true">${actions(writing, checks, isFirst ? KEPT : places)}</recv>`;
  };
}

/** Attributes that name a header, by the variable that is to hold it. */
type Places = Readonly<Record<string, string>>;

/** Of the INVITE that makes the dialog. */
const KEPT: Places = {
  caller: 'header="From:"',
  callee: 'header="To:"',
  cseq: 'header="CSeq:"',
  via1: 'header="Via:"',
  via2: 'header="Via:" occurrence="2"',
  route1: 'header="Record-Route:"',
  route2: 'header="Record-Route:" occurrence="2"',
};

function actions({ variables }: Writing, checks: Checks, kept: Places): string {
  const lines = Object.entries(kept).map(([name, place]) => {
    variables.push(name);
    return `<ereg regexp=".*" search_in="hdr" ${place} assign_to="${name}" />`;
  });
  for (const [where, regexp] of Object.entries(checks)) {
    const name = `check${variables.length}`;
    variables.push(name);
    const place = PLACES[where] ?? `search_in="hdr" header="${where}:"`;
    lines.push(`<ereg regexp="${escaped(regexp)}" ${place} check_it="true" assign_to="${name}" />`);
  }
  return lines.length === 0 ? '' : `<action>${lines.join('')}</action>`;
}

const PLACES: Places = { body: 'search_in="body"', message: 'search_in="msg"' };

/** Any number of this provisional response, and none, before what follows. */
export function mayHear(status: number): Step {
  return () => `<recv response="${status}" optional="true" />`;
}

/** To the request that came last. */
export function responds(status: number, { headers = [], body = [] }: Ask = {}): Step {
  return ({ heard, isHeardFirst }) =>
    response(status, heard === 'INVITE' && status >= 200, [
      '[last_Via:]',
      '[last_Record-Route:]',
      '[last_From:]',
      `[last_To:]${isHeardFirst ? `;tag=${OWN_TAG}` : ''}`,
      '[last_CSeq:]',
      ...headers,
      ...content(body),
    ]);
}

/** To the INVITE that made the dialog, when a CANCEL came after it. */
export function respondsToInvite(status: number): Step {
  return () =>
    response(status, true, [
      'Via:[$via1]',
      'Via:[$via2]',
      'Record-Route:[$route1]',
      'Record-Route:[$route2]',
      'From:[$caller]',
      `To:[$callee];tag=${OWN_TAG}`,
      'CSeq:[$cseq]',
      ...content([]),
    ]);
}

/** Makes an empty file, for the test to see how far the agent is. */
export function marks(file: string): Step {
  return () => `<nop><action><exec command="touch ${file}" /></action></nop>`;
}

/**
 * Nothing is lost on loopback, so agents are patient: SIPp takes an answer that comes twice for that to its next request.
 */
const RETRANSMIT_MS = 10_000;
const OWN_TAG = 'tag-[pid]';
export const OWN_URI = 'sip:agent@[local_ip]:[local_port];transport=[transport]';

function uriOf(uid: string, tag = ''): string {
  return `<sip:${uid}@[remote_ip]>${tag === '' ? '' : `;tag=${tag}`}`;
}

function within(
  { uid, peer, isCallee }: Writing,
  method: string,
  cseq: number,
  headers: readonly string[],
  body: readonly string[],
): string[] {
  const [from, to] = isCallee
    ? [`[$callee];tag=${OWN_TAG}`, '[$caller]']
    : [uriOf(uid, OWN_TAG), `${uriOf(peer)}[peer_tag_param]`];
  // The ACK of a 2xx is a transaction of its own (RFC 3261 13.2.2.4).
  const branch = method === 'ACK' ? `${cseq}-ack` : String(cseq);
  const lines = usual(method, cseq, from, to, branch);
  return [`${method} [next_url] SIP/2.0`, ...lines, 'Max-Forwards: 70', '[routes]', ...headers, ...content(body)];
}

function usual(method: string, cseq: number, from: string, to: string, branch = String(cseq)): string[] {
  return [
    `Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=z9hG4bK-[pid]-${branch}`,
    `From: ${from}`,
    `To: ${to}`,
    'Call-ID: [call_id]',
    `CSeq: ${cseq} ${method}`,
    'User-Agent: SIPp',
  ];
}

function content(body: readonly string[]): string[] {
  return ['Content-Length: [len]', '', ...body];
}

function response(status: number, isRepeated: boolean, lines: readonly string[]): string {
  return send(isRepeated, [`SIP/2.0 ${status} Because`, 'Call-ID: [call_id]', `Contact: <${OWN_URI}>`, ...lines]);
}

function send(isRepeated: boolean, lines: readonly string[]): string {
  return `<send${isRepeated ? ` retrans="${RETRANSMIT_MS}"` : ''}><![CDATA[\n${lines.join('\n')}\n]]></send>`;
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
